# The commands of this project; CI and the pages call these. Recipes of more than a line are scripts in deploy/scripts.
# Works with GNU make 3.81 and bash 3.2, as macOS has them.

CARGO ?= cargo

.PHONY: help up down functions try try-functions check chart apiserver test e2e advisories generate images bench diagnose
.DEFAULT_GOAL := help

help: ## lists these commands
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

up: ## a Kubernetes on this machine with the operator and the sample room; prints where to open it
	@bash deploy/scripts/up.sh

down: ## takes all of that away again
	@bash deploy/scripts/down.sh

functions: ## the sample room with functions, and the functions, on the cluster of `make up`; NAMESPACE=… where
	@bash deploy/scripts/functions.sh

try: ## the sample room as processes on this machine, without a cluster; PORT=… when 8080 is taken
	@$(CARGO) build --locked --package chatroom-operator --package chatroom-gateway --bins
	@$(CARGO) run --quiet --locked --package chatroom-operator --bin chatroom -- local deploy/samples/lobby.yaml $(if $(PORT),--port $(PORT))

try-functions: ## the sample room with functions, and the functions, as processes on this machine; PORT=…, REPLICAS=…
	@bash deploy/scripts/try-functions.sh

check: ## format, lints, unit and component tests; no root, no cluster
	@bash deploy/scripts/check.sh

chart: ## the chart alone: templates with Helm 4 and Helm 3, its README, a scan for unsafe settings; no cluster
	@bash deploy/scripts/chart.sh

apiserver: ## the operator against an API server of this machine: no root, no nodes, a few minutes
	@bash deploy/scripts/apiserver.sh

test: ## everything: check, generated files, chart, API server, end-to-end on a cluster
	@bash deploy/scripts/test.sh

e2e: ## the end-to-end tests alone; KIND_NODE_IMAGE=… chooses the Kubernetes where Docker runs
	@bash deploy/scripts/e2e.sh

advisories: ## known faults of the dependencies, from the advisory data base
	@bash deploy/scripts/advisories.sh

generate: ## writes what is generated: the CRD, its copy in the chart, the reference of its fields, the values in the chart's README
	@bash deploy/scripts/generate.sh

images: ## the images of operator, gateway and Redis, into target/images; PROFILE=release for optimised ones
	@bash deploy/scripts/images.sh

bench: ## how fast a push is, beside the least that it can cost, into docs/benchmarks; ARGS=--short for a look alone
	@bash deploy/scripts/bench.sh $(ARGS)

diagnose: ## what one would look up after a failure on the cluster, into target/diagnosis
	@bash deploy/scripts/diagnose.sh target/diagnosis
