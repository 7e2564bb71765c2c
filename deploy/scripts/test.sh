#!/usr/bin/env bash
# test.sh: everything, from format to end-to-end on a cluster of this machine, which stays up for a look afterwards.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

deploy/scripts/packages.sh tests
deploy/scripts/tools.sh
deploy/scripts/check.sh

step "generated files"
deploy/scripts/generate.sh --check

deploy/scripts/chart.sh

deploy/scripts/apiserver.sh

if [ "$(uname)" = Linux ]; then deploy/scripts/e2e.sh
else skipped "end to end (the tests are programs of this machine that run in the cluster's network: that takes Linux)"
fi
