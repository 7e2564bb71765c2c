#!/usr/bin/env bash
# images.sh: makes the images of operator, gateway and Redis, as archives target/images/NAME.tar with their names beside them,
# and writes target/images/values.yaml, which tells them to the chart. On Linux it packs what is built and installed here,
# without a container engine; elsewhere, or with IMAGES=dockerfile, Docker builds deploy/Dockerfile. PROFILE is cargo's:
# absent, the images hold the same programs as the tests run, so nothing is compiled twice; `release` is for measuring and
# for shipping.
# images.sh functions-sample: makes the image of deploy/samples/functions instead, which no room needs.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

profile=${PROFILE:-dev}
registry=ghcr.io/chatroom-dev
wanted=${1:-operator gateway redis}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
mkdir -p "$images" "$tools"

# What a debugger needs is most of a program's size, and of the time to load it; panics still name functions.
slim() { strip --strip-debug -o "$images/$1" "$built/$1"; }
# pack NAME ENTRYPOINT FILE...
pack() {
  local name=$1 entrypoint=$2; shift 2
  "$tools/image" -o "$images/$name.tar" -name "$registry/$name" -version "$version" -entrypoint "$entrypoint" "$@"
}
packer() {
  [ "$(uname)" = Linux ] || die "images are packed from programs that are built on this machine, and they have to be Linux'"
  has go || die "Go is missing: it builds the program that packs images"
  (cd tests/cluster && CGO_ENABLED=0 go build -trimpath -o "$tools/image" ./cmd/image)
}
packed() {
  has redis-server || die "redis-server is missing: the image of a room's own Redis is packed from it"
  redis-server --version | grep -qE 'v=([7-9]|[1-9][0-9])\.' || die "Redis 7.0 or later is needed; here is $(redis-server --version)"

  step "builds operator and gateway (profile $profile)"
  cargo build --locked --profile "$profile" --package chatroom-operator --package chatroom-gateway --bins
  built=${CARGO_TARGET_DIR:-target}/$profile
  [ "$profile" != dev ] || built=${CARGO_TARGET_DIR:-target}/debug

  step "packs the images"
  packer
  slim chatroom-operator
  slim chatroom-gateway
  pack operator /usr/local/bin/chatroom-operator "$images/chatroom-operator,ldd=/usr/local/bin/chatroom-operator"
  pack gateway /usr/local/bin/chatroom-gateway "$images/chatroom-gateway,ldd=/usr/local/bin/chatroom-gateway"
  pack redis /usr/local/bin/redis-server \
    "$(command -v redis-server),ldd=/usr/local/bin/redis-server" "$(command -v redis-cli),ldd=/usr/local/bin/redis-cli"
}

# The distribution's Python, also where another one comes first on PATH: its own modules are all that is packed with it.
packed_sample() {
  local python=/usr/bin/python3 root=$images/functions-sample file
  [ -x "$python" ] || die "$python is missing: the image of the sample functions is packed from it"
  step "packs the image of the sample functions"
  packer
  rm -rf "$root"
  bash deploy/scripts/pythonfs.sh "$root" "$python"
  local library=()
  while read -r file; do library+=("$file=${file#"$root"}"); done < <(find "$root" -type f)
  pack functions-sample "/usr/local/bin/python3 /app/shim.py /app/chat.py" \
    "$python,ldd=/usr/local/bin/python3" "${library[@]}" \
    deploy/samples/functions/shim.py=/app/shim.py deploy/samples/functions/chat.py=/app/chat.py
  rm -rf "$root"
}

# with_docker NAME: the tag ends with the image's hash, as a packed one's does, so that no cluster mistakes it for another.
with_docker() {
  local reference=$registry/$1:$version id
  step "builds the image of $1 (profile $profile)"
  # Without attestations: they make an index of it, and kind cannot load one with platforms that are not in the archive.
  docker buildx build --file deploy/Dockerfile --target "$1" --build-arg "PROFILE=$profile" \
    --provenance=false --sbom=false --load --tag "$reference" .
  id=$(docker image inspect --format '{{.Id}}' "$reference")
  id=${id#sha256:}
  reference=$reference-${id:0:12}
  echo "$reference"
  if [ "$(cat "$images/$1.ref" 2>/dev/null)" = "$reference" ] && [ -f "$images/$1.tar" ]; then return; fi
  docker tag "${reference%-*}" "$reference"
  docker save --output "$images/$1.tar" "$reference"
  echo "$reference" >"$images/$1.ref"
}

road=$(image_road)
case $road in
  packed) if [ "$wanted" = functions-sample ]; then packed_sample; else packed; fi ;;
  dockerfile)
    docker buildx version >/dev/null 2>&1 || die "deploy/Dockerfile needs Docker with buildx"
    for name in $wanted; do with_docker "$name"; done ;;
esac

if [ "$wanted" = functions-sample ]; then exit 0; fi
value() { # value KEY IMAGE
  local reference path; reference=$(cat "$images/$2.ref")
  path=${reference%:*}
  printf '%s: {registry: "%s", repository: "%s", tag: "%s"}\n' "$1" "${path%%/*}" "${path#*/}" "${reference##*:}"
}
{ value image operator; value gatewayImage gateway; value redisImage redis; } >"$images/values.yaml"
