#!/usr/bin/env bash
# advisories.sh: known faults and withdrawn versions among the dependencies. Not part of check.sh: what it says changes from
# day to day without a change here, and its data base has to be fetched.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

deploy/scripts/tools.sh linters
has cargo-deny || die "cargo-deny is missing"
cargo-deny --locked check advisories
