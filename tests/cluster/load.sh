#!/usr/bin/env bash
# load.sh ARCHIVE.tar...: brings images into the cluster. One that is there already (tags name contents) is skipped.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
ctr() { inside ctr --address "$here/containerd.sock" --namespace k8s.io "$@"; }
known=$(ctr images ls --quiet)
for archive; do
  reference=$(cat "${archive%.tar}.ref")
  if grep -qxF "$reference" <<<"$known"; then continue; fi
  ctr images import "$archive" >/dev/null
  say "image $reference"
done
