#!/usr/bin/env bash
# check.sh: format, lints, unit and component tests. Needs Rust alone; it brings its linters itself, and what else would be
# used and is not here is said.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

step "format"
cargo fmt --all --check

step "lints"
cargo clippy --workspace --all-targets --locked -- --deny warnings

deploy/scripts/tools.sh linters
# lint PROGRAM ARGUMENT...: runs it; where it is missing it says so, with the reason that tools.sh gave before.
lint() {
  if has "$1"; then "$@"; else skipped "$* (it is not installed)"; fi
}

step "scripts"
for script in deploy/scripts/*.sh tests/cluster/*.sh tests/cluster/inside/*.sh .ci/run; do bash -n "$script"; done
# shellcheck disable=SC2046 # no name of ours has a space
lint shellcheck $(grep -l '^#!' deploy/scripts/*.sh tests/cluster/*.sh tests/cluster/inside/*.sh .ci/run)
if has go && [ "$(uname)" = Linux ]; then
  unformatted=$(cd tests/cluster && gofmt -l cmd)
  [ -z "$unformatted" ] || die "not as gofmt writes it: $unformatted"
  (cd tests/cluster && CGO_ENABLED=0 go test ./cmd/image ./cmd/forward)
else
  skipped "the Go programs of tests/cluster (they need Go and Linux)"
fi

step "workflows and Dockerfile"
lint actionlint
lint zizmor --offline --quiet --no-progress --persona=pedantic .github
lint hadolint deploy/Dockerfile

step "sample functions"
if has python3; then python3 -B -m unittest discover --buffer deploy/samples/functions
else skipped "the tests of deploy/samples/functions (python3 is not installed)"
fi

step "dependencies"
lint cargo-deny --locked check --hide-inclusion-graph bans licenses sources

step "unit and component tests"
has redis-server || skipped "tests that need Redis (redis-server is not installed)"
cargo test --workspace --locked --no-fail-fast
