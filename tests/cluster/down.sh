#!/usr/bin/env bash
# Ends the cluster: with the first process of its pid namespace the kernel ends all others and takes the links, the
# rules and the mounts along. Leaves nothing but what build.sh built.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
rm -f "$kubeconfig"
if [ ! -d "$state" ]; then say "no cluster is up"; exit 0; fi

ended() { ! alive "$state/pids/$1"; }
for name in forward init holder; do
  if alive "$state/pids/$name"; then kill -9 "$(pid_of "$state/pids/$name")" 2>/dev/null || true; fi
  wait_for 30 "$name has ended" ended "$name"
done
cgroups() { find /sys/fs/cgroup -maxdepth 2 -type d -name "$cgroup" 2>/dev/null; }
empty_cgroups() {          # can be removed once the last process of the last pod is gone
  cgroups | while read -r directory; do find "$directory" -depth -type d -exec rmdir {} + 2>/dev/null || true; done
  [ -z "$(cgroups)" ]
}
wait_for 30 "the cgroups are empty" empty_cgroups
rm -rf --one-file-system "$state"
say "cluster down"
