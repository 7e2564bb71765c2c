#!/usr/bin/env bash
# e2e.sh: the end-to-end tests on a cluster of this machine, which stays up for a look afterwards. Takes up.sh's variables.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. deploy/scripts/cluster.sh

[ "$(uname)" = Linux ] ||
  die "the end-to-end tests are programs of this machine that run in the cluster's network, and that takes Linux"
deploy/scripts/up.sh

deploy/scripts/images.sh functions-sample
cluster_load "$images/functions-sample.tar"

step "end to end"
triple=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
export CHATROOM_E2E=1
export "CARGO_TARGET_${triple}_RUNNER=$checkout/deploy/scripts/in.sh"
# The whole workspace, as in check.sh: with one package alone other features are chosen, and half of it is compiled anew.
# More tests at once than cores: what they do most is wait for pods. Those of `lifecycle` take turns by themselves.
{ cargo test --locked --workspace --test e2e -- --test-threads 6 && cargo test --locked --workspace --test lifecycle; } || {
  deploy/scripts/diagnose.sh >&2
  die "the end-to-end tests failed; the cluster is still there: KUBECONFIG=target/cluster/kubeconfig"
}
