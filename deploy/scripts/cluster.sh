# The two kinds of cluster behind one set of functions: kind where Docker runs, else tests/cluster. Sourced after lib.sh.

room_service=lobby.default.svc.cluster.local:80
kind_name=chatroom-$(printf %s "$checkout" | cksum | cut -d' ' -f1)   # two checkouts, two clusters
kind_node=$kind_name-control-plane
chosen=$checkout/target/cluster/kind-of-cluster

# cluster_kind: `kind` or `host`; stays what it was as long as the cluster is up. CLUSTER chooses; with kind, KIND_NODE_IMAGE
# is the Kubernetes of a cluster that is made anew, a node image with its digest (absent: kind's own choice, pinned by it).
cluster_kind() {
  if [ -f "$chosen" ]; then cat "$chosen"; return; fi
  case ${CLUSTER:-} in
    kind | host) echo "$CLUSTER" ;;
    "")
      if has docker && docker info >/dev/null 2>&1; then echo kind
      elif [ "$(uname)" != Linux ]; then die "Docker does not run here; \`make try\` runs the room without a cluster"
      elif [ "$(id -u)" = 0 ]; then echo host
      else die "Docker does not run here; start it, or run this as root: then a cluster is made of namespaces"
      fi ;;
    *) die "CLUSTER=$CLUSTER is neither kind nor host" ;;
  esac
}

# cluster_up: idempotent; afterwards KUBECONFIG works from this machine.
cluster_up() {
  local kind; kind=$(cluster_kind)
  mkdir -p "$(dirname "$chosen")"
  echo "$kind" >"$chosen"
  case $kind in
    host)
      [ -d /sys/fs/cgroup ] || die "cgroups are not mounted at /sys/fs/cgroup"
      echo "Docker does not run here: a Kubernetes of our own, in namespaces of this machine (tests/cluster)"
      tests/cluster/build.sh
      tests/cluster/up.sh "client=${PORT:-8080}:$room_service" ;;
    kind)
      if kind get clusters 2>/dev/null | grep -qx "$kind_name"; then
        kind get kubeconfig --name "$kind_name" >"$KUBECONFIG"
      else
        local port; port=$(free_port "${PORT:-8080}")
        sed "s/hostPort: 8080/hostPort: $port/" deploy/kind.yaml >target/cluster/kind.yaml
        kind create cluster --name "$kind_name" --config target/cluster/kind.yaml --kubeconfig "$KUBECONFIG" --wait 120s \
          ${KIND_NODE_IMAGE:+--image "$KIND_NODE_IMAGE"}
      fi ;;
  esac
}

cluster_down() {
  if has kind && [ "$(cat "$chosen" 2>/dev/null)" = kind ]; then kind delete cluster --name "$kind_name"; fi
  if [ -d target/cluster/state ]; then tests/cluster/down.sh; fi
  rm -f "$chosen" "$KUBECONFIG" "$checkout/target/cluster/kind.yaml"
}

# cluster_load ARCHIVE...
cluster_load() {
  local archive
  case $(cluster_kind) in
    host) tests/cluster/load.sh "$@" ;;
    kind)
      for archive; do
        docker exec "$kind_node" ctr --namespace k8s.io images ls --quiet | grep -qxF "$(cat "${archive%.tar}.ref")" ||
          kind load image-archive "$archive" --name "$kind_name"
      done ;;
  esac
}

# cluster_logs DIRECTORY: what the components of the cluster said.
cluster_logs() {
  case $(cluster_kind) in
    host) mkdir -p "$1"; cp target/cluster/state/log/*.log "$1" ;;
    kind) kind export logs "$1" --name "$kind_name" ;;
  esac
}

# cluster_client_port: the port of 127.0.0.1 that leads to the sample room.
cluster_client_port() {
  case $(cluster_kind) in
    host) sed -n 's/^client=//p' target/cluster/state/addresses ;;
    kind) docker port "$kind_node" 30080/tcp | sed -n '1s/.*://p' ;;
  esac
}

# in_cluster COMMAND...: runs it where the addresses of pods and Services are, with a KUBECONFIG that works there.
in_cluster() {
  case $(cluster_kind) in
    host) tests/cluster/in.sh "$@" ;;
    kind)
      # This machine's files in the node's network: root of the file system as a volume, and the node's image, which is here.
      local inner=$checkout/target/cluster/kubeconfig-inside
      sed 's|server: https://.*|server: https://127.0.0.1:6443|' "$KUBECONFIG" >"$inner"
      docker run --rm --network "container:$kind_node" --volume /:/machine --entrypoint chroot \
        "$(docker inspect --format '{{.Config.Image}}' "$kind_node")" --userspec="$(id -u):$(id -g)" /machine \
        env --chdir="$PWD" PATH="$PATH" HOME="$HOME" KUBECONFIG="$inner" CHATROOM_E2E="${CHATROOM_E2E:-}" "$@" ;;
  esac
}

# free_port WANTED: the first port from there on to which nobody answers.
free_port() {
  local port=$1
  while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
  echo "$port"
}
