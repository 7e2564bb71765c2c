#!/usr/bin/env bash
# in.sh COMMAND...: runs a command where the addresses of pods and Services are: kubectl, curl, a test program (it can
# be cargo's runner: programs are built outside and run inside).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
inside "$@"
