#!/usr/bin/env bash
# Builds what the cluster is made of into target/cluster/bin. The first time compiles Kubernetes: 10 to 20 minutes on
# two cores. Does nothing when neither the module nor the compiler changed since.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$checkout/tests/cluster"
version=v1.36.3                               # of Kubernetes, as in go.mod

command -v go >/dev/null || die "Go is missing; go.mod says which version is needed"
key=$(cat build.sh go.mod go.sum cmd/*/*.go <(go version) | sha256sum | cut -d' ' -f1)
mkdir -p "$bin"
if [ "$(cat "$bin/key" 2>/dev/null)" = "$key" ]; then exit 0; fi
rm -f "$bin/key"

# heartbeat WHAT COMMAND...: a line every half minute while the command runs; nobody should wonder whether it does.
heartbeat() {
  local what=$1 begin=$SECONDS; shift
  echo "  begins  $what"
  ( while sleep 30; do printf '  %4ds   %s goes on\n' $((SECONDS - begin)) "$what"; done ) &
  local beat=$!
  local result=0
  "$@" || result=$?
  kill "$beat"
  wait "$beat" 2>/dev/null || true
  say "$what"
  return "$result"
}

export CGO_ENABLED=0
flags=(-trimpath -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version
  -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36")
for program in pause image forward; do go build "${flags[@]}" -o "$bin/" "./cmd/$program"; done
heartbeat "build of Kubernetes $version" go build "${flags[@]}" -o "$bin/" ./cmd/kube
heartbeat "build of CoreDNS" go build "${flags[@]}" -o "$bin/" ./cmd/coredns

pack() { "$bin/image" -o "$bin/$1.tar" -name "chatroom.dev/cluster/$1" -version "$version" -entrypoint "/$1" "$bin/$1=/$1" >/dev/null; }
pack pause
pack coredns
echo "$key" >"$bin/key"
