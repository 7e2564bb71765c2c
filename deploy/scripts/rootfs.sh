#!/usr/bin/env bash
# rootfs.sh ROOT PROGRAM...: puts programs into ROOT/usr/local/bin, without what only a debugger needs, and the libraries
# that the loader would load for them to where it looks for them. deploy/Dockerfile runs it; it needs nothing of the checkout.
set -euo pipefail

root=$1; shift
mkdir -p "$root/usr/local/bin"
for program; do
  strip --strip-debug -o "$root/usr/local/bin/$(basename "$program")" "$program"
  chmod 755 "$root/usr/local/bin/$(basename "$program")"
  { ldd "$program" || true; } | sed -nE 's|^(.*[[:space:]])?(/[^ ]+) \(0x.*|\2|p' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp --dereference "$library" "$root$library"
  done
done
