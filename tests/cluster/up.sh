#!/usr/bin/env bash
# up.sh [NAME=PORT:HOST:PORT...]: brings a single-node Kubernetes up on this machine, as root, without Docker or
# systemd. Each argument makes a Service reachable from this machine: `client=8080:lobby.default.svc.cluster.local:80`.
#
# All of it lives in network, mount and pid namespaces of its own, held by one process: the machine's links, routes,
# firewall and mounts are not touched. Safe to run again: starts what is missing.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
[ "$(uname)" = Linux ] || die "namespaces are Linux'; this machine runs $(uname)"
[ "$(id -u)" = 0 ] || die "only root can make a cluster out of namespaces"
[ -f "$bin/key" ] || die "not built yet; run tests/cluster/build.sh"
command -v kubectl >/dev/null || die "kubectl is missing"

# A cgroup of our own in every hierarchy; only pods enter it.
make_cgroups() {
  local directory file
  for directory in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ -f "$directory/cgroup.procs" ] || continue
    if [ "$directory" = /sys/fs/cgroup ]; then   # version 2: controllers have to be handed down; the kubelet does so below
      for file in $(<"$directory/cgroup.controllers"); do echo "+$file" >"$directory/cgroup.subtree_control" 2>/dev/null || true; done
    elif [ -f /sys/fs/cgroup/cgroup.procs ]; then
      continue                                   # version 2: the others are slices of the same hierarchy
    fi
    mkdir -p "$directory/$cgroup"
    # All pods together would weigh as much as one process of a compiler beside them, and miss their time-outs: 16 times that.
    if [ -f "$directory/$cgroup/cpu.shares" ]; then echo 16384 >"$directory/$cgroup/cpu.shares"; fi   # version 1
    if [ -f "$directory/$cgroup/cpu.weight" ]; then echo 1600 >"$directory/$cgroup/cpu.weight"; fi    # version 2
    for file in cpuset.cpus cpuset.mems; do      # version 1: empty at first, and then no process can enter
      if [ -s "$directory/$file" ] && [ ! -s "$directory/$cgroup/$file" ]; then cat "$directory/$file" >"$directory/$cgroup/$file"; fi
    done
  done
}

# What a cluster that was killed left in the state is what a machine forgets when it boots.
forget() { rm -rf "$state"/{pids,runc,ipam,kubelet/pki,containerd/run,addresses}; }

first_child() { ps -o pid= --ppid "$(pid_of "$state/pids/holder")" | tr -d ' ' | head -n 1; }
init_is_there() { [ "$(readlink "/proc/$(first_child)/exe")" = "$bin/pause" ]; }

if ! alive "$state/pids/init"; then
  forget
  mkdir -p "$state"/{pids,log,pki,cni,etcd,kubelet,containerd,podlogs,plugins}
  chmod 700 "$state"/{pki,etcd}
  make_cgroups
  start "$state" holder unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private "$bin/pause"
  wait_for 5 "the first process of the namespaces" init_is_there
  init=$(first_child)
  echo "$init $(started "$init")" >"$state/pids/init"
fi
if ! alive "$state/pids/forward"; then
  rm -f "$state/addresses"
  start "$state" forward "$bin/forward" -pid "$(pid_of "$state/pids/init")" -dns "$dns_ip:53" \
    -addresses "$state/addresses" "api=$api_port:127.0.0.1:$api_port" "$@"
  wait_for 5 "the forwarder listens" test -s "$state/addresses"
fi
say "namespaces"

inside "$checkout/tests/cluster/inside/up.sh"
# The same as inside, but for the port: another cluster may have that one on this machine.
sed "s|:$api_port\"|:$(sed -n 's/^api=//p' "$state/addresses")\"|" "$state/admin.conf" >"$kubeconfig.new"
chmod 600 "$kubeconfig.new"
mv "$kubeconfig.new" "$kubeconfig"
