# Certificates and kubeconfigs of the cluster. Elliptic curves throughout: RSA keys cost seconds beside a compiler.

make_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

# make_certificate NAME SUBJECT USAGE [SUBJECT-ALTERNATIVE-NAMES]: signed by ca, in the current directory.
make_certificate() {
  make_key "$1"
  printf 'extendedKeyUsage=%s\n%s\n' "$3" "${4:+subjectAltName=$4}" >"$1.extensions"
  openssl req -new -key "$1.key" -subj "$2" |
    openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -extfile "$1.extensions" -out "$1.crt" 2>/dev/null
}

# make_certificates DIRECTORY
make_certificates() (
  cd "$1" || exit
  if [ -f complete ]; then return 0; fi
  make_key ca
  openssl req -x509 -new -key ca.key -days 3650 -subj /CN=cluster-ca -out ca.crt
  make_key accounts
  local service=kubernetes.default.svc
  make_certificate apiserver /CN=kube-apiserver serverAuth \
    "DNS:kubernetes,DNS:kubernetes.default,DNS:$service,DNS:$service.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$node_ip,IP:$api_service_ip"
  make_certificate admin /O=system:masters/CN=admin clientAuth
  make_certificate to-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client clientAuth
  make_certificate kube-controller-manager /CN=system:kube-controller-manager clientAuth
  make_certificate kube-scheduler /CN=system:kube-scheduler clientAuth
  make_certificate kube-proxy /CN=system:kube-proxy clientAuth
  make_certificate kubelet "/O=system:nodes/CN=system:node:$node" clientAuth
  make_certificate front-proxy /CN=front-proxy clientAuth
  touch complete
)

make_kubeconfigs() {
  local who
  in_base64() { base64 -w0 "$pki/$1"; }
  for who in admin kube-controller-manager kube-scheduler kube-proxy kubelet; do
    put "$here/$who.conf" <<CONFIG
apiVersion: v1
kind: Config
clusters: [{name: $cgroup, cluster: {server: "$api", certificate-authority-data: $(in_base64 ca.crt)}}]
users: [{name: $who, user: {client-certificate-data: $(in_base64 $who.crt), client-key-data: $(in_base64 $who.key)}}]
contexts: [{name: $cgroup, context: {cluster: $cgroup, user: $who}}]
current-context: $cgroup
CONFIG
  done
}
