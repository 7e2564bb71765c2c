#!/usr/bin/env bash
# bench.sh [--short]: measures the programs as they are shipped, beside the least that the same job can cost, and writes what came
# out to docs/benchmarks. Asserts nothing.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

has redis-server || die "redis-server is not installed: the gateways share one"
step "build for release"
cargo build --release --locked --bins
step "push"
target/release/chatroom-bench push --write docs/benchmarks/push.md "$@"
