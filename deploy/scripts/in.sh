#!/usr/bin/env bash
# in.sh COMMAND...: runs a command where the addresses of pods and Services are. Serves as cargo's runner.
set -euo pipefail
where=$PWD
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. deploy/scripts/cluster.sh
cluster=$(cluster_kind)
cd "$where"
case $cluster in
  host) exec "$checkout/tests/cluster/in.sh" "$@" ;;
  kind) in_cluster "$@" ;;
esac
