#!/usr/bin/env bash
# The half of up.sh that runs inside the namespaces: mounts, network, certificates, then the components in the order in
# which they need each other. Each step does nothing when it was done before.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
. "$checkout/tests/cluster/inside/certificates.sh"
. "$checkout/tests/cluster/inside/configuration.sh"

mounts() {
  if mountpoint -q "$here"; then return 0; fi
  # Paths that containerd, its shim, the CNI library and the kubelet have built in become private.
  mount -t tmpfs -o mode=755 cluster-run /run
  mkdir "$here"
  mount --bind "$state" "$here"
  local directory
  for directory in /var/lib /var/log; do
    mkdir -p "/run/private$directory"/{upper,work}
    mount -t overlay -o "lowerdir=$directory,upperdir=/run/private$directory/upper,workdir=/run/private$directory/work" \
      cluster-private "$directory"
  done
}

# A bridge of our own is the pods' network, the node's address, and the default route: there is no outside, and what no
# Service takes dies on the bridge.
network() {
  if ip link show "$bridge" >/dev/null 2>&1; then return 0; fi
  ip link set lo up
  echo 1 >/proc/sys/net/ipv4/ip_forward
  ip link add "$bridge" type bridge
  ip addr add "$node_ip/24" dev "$bridge"
  ip link set "$bridge" up
  ip route add default dev "$bridge"
}

mounts
network
api=https://127.0.0.1:$api_port
mkdir -p "$here"/{pids,log}
export KUBECONFIG=$here/admin.conf
pki=$here/pki
make_certificates "$pki"
make_kubeconfigs
pause_image=$(cat "$bin/pause.ref")
write_configuration
say "network and certificates"

run() { local name=$1; shift; start "$here" "$name" "$@"; }
kube() { run "$1" "$bin/kube" "$@"; }

kube etcd --name "$node" --data-dir "$here/etcd" --unsafe-no-fsync --log-level warn --log-outputs stderr \
  --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
  --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
  --initial-cluster "$node=http://127.0.0.1:2380"
run containerd containerd --config "$here/containerd.toml"
kube kube-apiserver --bind-address 0.0.0.0 --advertise-address "$node_ip" --secure-port "$api_port" \
  --etcd-servers http://127.0.0.1:2379 --service-cluster-ip-range "$service_range" --allow-privileged=true \
  --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
  --client-ca-file "$pki/ca.crt" --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
  --kubelet-client-certificate "$pki/to-kubelet.crt" --kubelet-client-key "$pki/to-kubelet.key" \
  --kubelet-preferred-address-types InternalIP \
  --service-account-issuer https://kubernetes.default.svc \
  --service-account-key-file "$pki/accounts.key" --service-account-signing-key-file "$pki/accounts.key" \
  --requestheader-client-ca-file "$pki/ca.crt" --requestheader-allowed-names front-proxy \
  --proxy-client-cert-file "$pki/front-proxy.crt" --proxy-client-key-file "$pki/front-proxy.key" \
  --requestheader-username-headers X-Remote-User --requestheader-group-headers X-Remote-Group \
  --requestheader-extra-headers-prefix X-Remote-Extra-

ctr() { command ctr --address "$here/containerd.sock" --namespace k8s.io "$@"; }
wait_for 60 "containerd answers" ctr version
for name in pause coredns; do
  if ! ctr images ls --quiet | grep -qxF "$(cat "$bin/$name.ref")"; then ctr images import "$bin/$name.tar" >/dev/null; fi
done
wait_for 90 "the API server is ready" kubectl get --raw /readyz
say "etcd, containerd, API server"

kube kube-controller-manager --kubeconfig "$here/kube-controller-manager.conf" --bind-address 127.0.0.1 --leader-elect=false \
  --flex-volume-plugin-dir "$here/plugins" --use-service-account-credentials --root-ca-file "$pki/ca.crt" \
  --service-account-private-key-file "$pki/accounts.key" \
  --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key"
kube kube-scheduler --kubeconfig "$here/kube-scheduler.conf" --bind-address 127.0.0.1 --leader-elect=false
kube kubelet --config "$here/kubelet.yaml" --kubeconfig "$here/kubelet.conf" --root-dir "$here/kubelet" \
  --cert-dir "$here/kubelet/pki" --hostname-override "$node" --node-ip "$node_ip"
kube kube-proxy --config "$here/kube-proxy.yaml"
kubectl apply --filename "$here/coredns.yaml" >/dev/null
wait_for 60 "the node is registered" kubectl get node "$node"
wait_for 60 "the node is ready" kubectl wait --for=condition=Ready "node/$node" --timeout=10s
say "node ready"
wait_for 60 "DNS answers" kubectl --namespace kube-system rollout status deployment/coredns --timeout=10s
say "DNS"
for name in etcd containerd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy; do
  alive "$here/pids/$name" || die "$name has left; see $state/log/$name.log"
done
