#!/usr/bin/env bash
# test.sh: everything, from format to end-to-end on a cluster of this machine, which stays up for a look afterwards.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. deploy/scripts/cluster.sh

deploy/scripts/packages.sh
deploy/scripts/tools.sh
deploy/scripts/check.sh

step "generated files"
deploy/scripts/generate.sh --check

deploy/scripts/chart.sh

deploy/scripts/apiserver.sh

deploy/scripts/up.sh

step "end to end"
triple=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
export CHATROOM_E2E=1
export "CARGO_TARGET_${triple}_RUNNER=$checkout/deploy/scripts/in.sh"
# The whole workspace, as in check.sh: with one package alone other features are chosen, and half of it is compiled anew.
cargo test --locked --workspace --test e2e || {
  deploy/scripts/diagnose.sh >&2
  die "the end-to-end tests failed; the cluster is still there: KUBECONFIG=target/cluster/kubeconfig"
}
