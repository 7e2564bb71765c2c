#!/usr/bin/env bash
# packages.sh [tests]: looks whether the system packages are there that a cluster and the images need, or the tests as well.
# Installs what is missing when CI=true or YES=1 says so; else prints the one command that would, and stops.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. deploy/scripts/cluster.sh

missing=""
need() { # need COMMAND PACKAGE
  has "$1" || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ] || missing="$missing $2"
}
road=$(image_road)
cluster=$(cluster_kind)
need cc gcc
if [ "${1:-}" = tests ]; then
  need python3 python3
  need pip3 python3-pip
  # Without venv chart.sh leaves its scan for unsafe settings out, which it should not where somebody says that it may be installed.
  if may_install && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then missing="$missing python3-venv"; fi
fi
if [ "$road" = packed ]; then need redis-server redis-server; fi
if [ "$(uname -sm)" = "Linux x86_64" ]; then
  need npm npm
  need unzip unzip
fi

if [ "$cluster" = host ]; then
  need containerd containerd
  need runc runc
  need nft nftables
  need iptables iptables
  need conntrack conntrack
  need ip iproute2
  need ps procps
  need openssl openssl
  need nsenter util-linux
  [ -x /usr/lib/cni/bridge ] || [ -x /usr/libexec/cni/bridge ] || [ -x /opt/cni/bin/bridge ] || missing="$missing containernetworking-plugins"
fi
has cargo || die "Rust is missing; rustup brings the version that rust-toolchain.toml names"
has go || die "Go is missing; 1.21 or later brings the version that tests/cluster/go.mod names"
if [ -z "$missing" ]; then exit 0; fi

sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo
command="${sudo:+sudo }apt-get install --yes --no-install-recommends$missing"
has apt-get || die "these are missing, by their Debian names:$missing"
may_install || die "these packages are missing; YES=1 makes this command install them, or do it yourself:
  $command"
step "installs$missing"
# shellcheck disable=SC2086 # commands of several words
{ $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $command -qq >/dev/null; }
