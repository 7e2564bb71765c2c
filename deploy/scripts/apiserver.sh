#!/usr/bin/env bash
# apiserver.sh [WORDS OF A TEST'S NAME]: the operator against an API server of this machine, without nodes and without root.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Compiles a Kubernetes the first time: 10 to 20 minutes, once.
tests/cluster/build.sh

step "API server"
# The tests wait most of the time: more of them than there are processors.
CHATROOM_API_SERVER=1 cargo test --locked --workspace --test apiserver -- --test-threads "${THREADS:-8}" "$@"
