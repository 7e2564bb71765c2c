# The configuration files of containerd, its network plugin, the kubelet, kube-proxy and CoreDNS.

write_configuration() {
  # restrict_oom_score_adj and oom_score 0: root in a sandbox may lack the right to lower its score.
  put "$here/containerd.toml" <<TOML
version = 2
root = "$here/containerd/root"
state = "$here/containerd/run"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "$here/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$pause_image"
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$(cni_plugins)"
    conf_dir = "$here/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = "$(command -v runc)"
        Root = "$here/runc"
        SystemdCgroup = false
TOML
  put "$here/cni/10-$bridge.conflist" <<CNI
{"cniVersion": "1.0.0", "name": "$bridge", "plugins": [
  {"type": "bridge", "bridge": "$bridge", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$here/ipam", "ranges": [[{"subnet": "$pod_range"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
CNI
  # resolvConf: an empty file, since there is no DNS outside. The disk is the machine's: evict only when it is nearly full.
  : >"$here/resolv.conf"
  put "$here/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $node_ip
port: 10250
healthzPort: 10248
containerRuntimeEndpoint: unix://$here/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
clusterDNS: [$dns_ip]
clusterDomain: cluster.local
resolvConf: $here/resolv.conf
podLogsDir: $here/podlogs
volumePluginDir: $here/plugins
authentication: {x509: {clientCAFile: $pki/ca.crt}, webhook: {enabled: true}, anonymous: {enabled: false}}
authorization: {mode: Webhook}
evictionHard: {memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%", nodefs.inodesFree: "1%"}
imageGCHighThresholdPercent: 100
enforceNodeAllocatable: []
serializeImagePulls: false
makeIPTablesUtilChains: false
logging: {verbosity: 1}
YAML
  # conntrack: its sizes are the machine's, not ours to set.
  put "$here/kube-proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: $here/kube-proxy.conf}
hostnameOverride: $node
clusterCIDR: $pod_range
bindAddress: $node_ip
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
oomScoreAdj: 0
conntrack: {maxPerCore: 0, min: 0}
YAML
  sed "s|DNS_IMAGE|$(cat "$bin/coredns.ref")|; s|DNS_IP|$dns_ip|" "$checkout/tests/cluster/coredns.yaml" | put "$here/coredns.yaml"
}

# cni_plugins: where the distribution keeps them.
cni_plugins() {
  local directory
  for directory in /usr/lib/cni /usr/libexec/cni /opt/cni/bin; do
    if [ -x "$directory/bridge" ]; then echo "$directory"; return; fi
  done
  die "the CNI plugins are missing (Debian: containernetworking-plugins)"
}
