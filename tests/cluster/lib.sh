# What the scripts of the cluster share: where things are, what they are called, and how its processes are started and
# recognised. Sourced by all of them; only bash 4 and util-linux are assumed.
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
bin=$checkout/target/cluster/bin              # built once, kept by down.sh
state=$checkout/target/cluster/state          # everything that a running cluster writes; removed by down.sh
kubeconfig=$checkout/target/cluster/kubeconfig

# Inside the cluster's mount namespace its state is at this path, whatever the checkout's: unix socket paths end at
# 107 bytes. /run is a private file system there, so nothing of it is seen outside.
here=/run/cluster

# Two checkouts can have their clusters at the same time: only cgroups share names with others.
cgroup=chatroom-$(printf %s "$checkout" | sha256sum | cut -c1-8)

node=node
bridge=pods0                                  # the pods' bridge; its address is the node's
node_ip=10.244.0.1
pod_range=10.244.0.0/24
service_range=10.96.0.0/16
api_service_ip=10.96.0.1
api_port=6443
dns_ip=10.96.0.10
export PATH=$checkout/target/tools:$PATH

die() { echo "$(basename "$0"): $*" >&2; exit 1; }

# say WHAT: one line for a step that is done, and how long it took.
step_started=$(date +%s%N)
say() {
  local now; now=$(date +%s%N)
  local tenths=$(( (now - step_started) / 100000000 ))
  printf '  %3d.%ds  %s\n' $((tenths / 10)) $((tenths % 10)) "$*"
  step_started=$now
}

# started PID: when that process started, nothing if there is none. With the pid it names a process for good.
started() { awk '$3 != "Z" && $3 != "X" {print $22}' "/proc/$1/stat" 2>/dev/null || true; }

# alive FILE: does the process noted there still run?
alive() {
  local pid start
  read -r pid start 2>/dev/null <"$1" || return 1
  [ -n "$start" ] && [ "$(started "$pid")" = "$start" ]
}

# pid_of FILE: the pid noted there.
pid_of() { local pid _; read -r pid _ <"$1" && echo "$pid"; }

# start DIRECTORY NAME COMMAND...: unless it runs already; its pid is noted in DIRECTORY/pids, its words in DIRECTORY/log.
start() {
  local directory=$1 name=$2; shift 2
  if alive "$directory/pids/$name"; then return 0; fi
  setsid "$@" >>"$directory/log/$name.log" 2>&1 </dev/null &
  echo "$! $(started $!)" >"$directory/pids/$name"
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
  local end=$((SECONDS + $1)) what=$2; shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt "$end" ] || die "$what: not so within the time; the logs are in $state/log"
    sleep 0.1
  done
}

# inside COMMAND...: runs it in the cluster's namespaces, in this directory.
inside() {
  alive "$state/pids/init" || die "no cluster runs in $checkout; tests/cluster/up.sh starts one"
  nsenter --target "$(pid_of "$state/pids/init")" --net --mount --pid env --chdir="$PWD" KUBECONFIG="$state/admin.conf" "$@"
}

# put FILE: standard input becomes the file's text; an equal file is not touched (kube-proxy leaves when its file is).
put() {
  local text; text=$(cat)
  if [ "$(cat "$1" 2>/dev/null)" != "$text" ]; then printf '%s\n' "$text" >"$1"; fi
}
