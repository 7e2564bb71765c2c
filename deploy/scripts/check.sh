#!/usr/bin/env bash
# check.sh: format, lints, unit and component tests. Needs Rust alone; what else would be used and is not here is said.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

step "format"
cargo fmt --all --check

step "lints"
cargo clippy --workspace --all-targets --locked -- --deny warnings

step "scripts"
for script in deploy/scripts/*.sh tests/cluster/*.sh tests/cluster/inside/*.sh .ci/run; do bash -n "$script"; done
if has shellcheck; then grep -l '^#!' deploy/scripts/*.sh tests/cluster/*.sh tests/cluster/inside/*.sh .ci/run | xargs shellcheck
else skipped "shellcheck of the scripts (it is not installed)"
fi
if has go && [ "$(uname)" = Linux ]; then
  unformatted=$(cd tests/cluster && gofmt -l cmd)
  [ -z "$unformatted" ] || die "not as gofmt writes it: $unformatted"
  (cd tests/cluster && CGO_ENABLED=0 go test ./cmd/image ./cmd/forward)
else
  skipped "the Go programs of tests/cluster (they need Go and Linux)"
fi

step "dependencies"
if has cargo-deny; then cargo deny check bans licenses sources
else skipped "licenses and sources of the dependencies (cargo-deny is not installed: cargo install cargo-deny --root target/tools)"
fi

step "unit and component tests"
has redis-server || skipped "tests that need Redis (redis-server is not installed)"
cargo test --workspace --locked --no-fail-fast
