#!/usr/bin/env bash
# generate.sh [--check]: writes the files that are generated from the source; with --check only compares them.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT
differ=0
# generated FILE...: whether each holds what stands in $fresh.
generated() {
  for file in "$@"; do
    if cmp -s "$fresh" "$file"; then continue; fi
    if [ "$check" = --check ]; then
      diff -u "$file" "$fresh" | head -n 40 || true
      differ=1
    else
      mkdir -p "$(dirname "$file")"
      cp "$fresh" "$file"
      chmod 644 "$file"
      echo "wrote $file"
    fi
  done
}

check=${1:-}
chatroom() { cargo run --quiet --locked --package chatroom-operator --bin chatroom -- "$@"; }
chatroom crd >"$fresh"
generated crds/chatrooms.yaml charts/chatroom-operator/files/crds/chatrooms.yaml
chatroom crd --output markdown >"$fresh"
generated docs/reference.md
[ $differ = 0 ] || die "generated files are not as the source would make them; \`make generate\` writes them"
if [ "${1:-}" = --check ]; then exit 0; fi   # chart.sh, which brings helm-docs, looks at the chart's README
if has helm-docs; then deploy/scripts/chart.sh readme
else skipped "the values in the chart's README (helm-docs is not installed; \`make chart\` brings it)"
fi
