#!/usr/bin/env bash
# chart.sh: examines the chart without a cluster: its tests with Helm 4 and Helm 3, its README, a scan for unsafe settings.
# chart.sh readme [--check]: writes the chart's README from the comments in values.yaml; with --check only compares it.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
chart=charts/chatroom-operator

readme() {
  local fresh; fresh=$(mktemp)
  helm-docs --chart-search-root "$chart" --sort-values-order file --dry-run --log-level warning >"$fresh"
  if ! cmp -s "$fresh" "$chart/README.md"; then
    if [ "${1:-}" = --check ]; then
      diff -u "$chart/README.md" "$fresh" | head -n 40 || true
      rm -f "$fresh"
      die "the chart's README is not as its comments would make it; \`make generate\` writes it"
    fi
    cat "$fresh" >"$chart/README.md"
    echo "wrote $chart/README.md"
  fi
  rm -f "$fresh"
}

# with_helm PROGRAM: the tests of tests/chart with this Helm. The whole workspace, as in check.sh: with one package alone
# other features are chosen, and half of it is compiled anew.
with_helm() {
  step "chart with $("$1" version --short)"
  CHATROOM_HELM=$1 cargo test --quiet --locked --workspace --test chart
}

# scan: what Helm would install with each of the values files, what the operator would make of sample rooms, and the sample
# functions.
scan() {
  local scanned=$1 file name
  for file in "$chart"/values.yaml "$chart"/ci/*.yaml; do
    name=$(basename "$file" .yaml)
    helm template operator $chart --namespace chatroom-system --values "$file" --skip-tests >"$scanned/operator-$name.yaml"
    helm template operator $chart --namespace chatroom-system --values "$file" --show-only templates/tests/probe.yaml \
      >"$scanned/test-$name.yaml"
  done
  cp deploy/samples/functions/backend.yaml "$scanned/sample-functions.yaml"
  for file in deploy/samples/*.yaml deploy/samples/functions/{room,local}.yaml tests/contract/rooms/*.yaml; do
    cargo run --quiet --locked --package chatroom-operator --bin chatroom -- render "$file" >"$scanned/room-$(basename "$file")"
  done
  checkov --directory "$scanned" --framework kubernetes --skip-download --quiet --compact --soft-fail --output json |
    python3 deploy/scripts/policy.py deploy/policy.txt
}

if [ "${1:-}" = readme ]; then readme "${2:-}"; exit 0; fi

deploy/scripts/tools.sh chart
with_helm "$(command -v helm)"
if [ -x "$tools/helm3" ]; then with_helm "$tools/helm3"
else skipped "the chart with Helm 3 (there is no pinned package of it for $(uname -sm))"
fi

step "chart: README"
if has helm-docs; then readme --check
else skipped "the values in the chart's README (helm-docs is built with Go, which is not installed)"
fi

step "chart and rooms: policy"
if has checkov; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  scan "$work"
else
  skipped "the scan for unsafe settings (checkov needs Python with venv: apt-get install python3-venv)"
fi
