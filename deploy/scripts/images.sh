#!/usr/bin/env bash
# images.sh: packs operator, gateway and Redis into OCI archives, target/images/NAME.tar, without a container engine, and
# writes target/images/values.yaml, which tells them to the chart. PROFILE is cargo's: absent, the images hold the same
# programs as the tests run, so nothing is compiled twice; `release` is for measuring and for shipping.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ "$(uname)" = Linux ] || die "images are packed from programs that are built on this machine, and they have to be Linux'"
has go || die "Go is missing: it builds the program that packs images"
has redis-server || die "redis-server is missing: the image of a room's own Redis is packed from it"
redis-server --version | grep -qE 'v=([7-9]|[1-9][0-9])\.' || die "Redis 7.0 or later is needed; here is $(redis-server --version)"

profile=${PROFILE:-dev}
step "builds operator and gateway (profile $profile)"
cargo build --locked --profile "$profile" --package chatroom-operator --package chatroom-gateway --bins
built=${CARGO_TARGET_DIR:-target}/$profile
[ "$profile" != dev ] || built=${CARGO_TARGET_DIR:-target}/debug

step "packs the images"
mkdir -p "$images" "$tools"
(cd tests/cluster && CGO_ENABLED=0 go build -trimpath -o "$tools/image" ./cmd/image)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# What a debugger needs is most of a program's size, and of the time to load it; panics still name functions.
slim() { strip --strip-debug -o "$images/$1" "$built/$1"; }
# pack NAME ENTRYPOINT FILE...
pack() {
  local name=$1 entrypoint=$2; shift 2
  "$tools/image" -o "$images/$name.tar" -name "ghcr.io/chatroom-dev/$name" -version "$version" -entrypoint "$entrypoint" "$@"
}
slim chatroom-operator
slim chatroom-gateway
pack operator /usr/local/bin/chatroom-operator "$images/chatroom-operator,ldd=/usr/local/bin/chatroom-operator"
pack gateway /usr/local/bin/chatroom-gateway "$images/chatroom-gateway,ldd=/usr/local/bin/chatroom-gateway"
pack redis /usr/local/bin/redis-server \
  "$(command -v redis-server),ldd=/usr/local/bin/redis-server" "$(command -v redis-cli),ldd=/usr/local/bin/redis-cli"

value() { # value KEY IMAGE
  local reference path; reference=$(cat "$images/$2.ref")
  path=${reference%:*}
  printf '%s: {registry: "%s", repository: "%s", tag: "%s"}\n' "$1" "${path%%/*}" "${path#*/}" "${reference##*:}"
}
{ value image operator; value gatewayImage gateway; value redisImage redis; } >"$images/values.yaml"
