#!/usr/bin/env bash
# down.sh: removes the cluster that up.sh brought up, with all that runs in it. What was built stays.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. deploy/scripts/cluster.sh
cluster_down
