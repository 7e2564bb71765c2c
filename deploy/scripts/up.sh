#!/usr/bin/env bash
# up.sh: a Kubernetes on this machine with the operator and the sample room. Safe to run again: brings what changed.
# CLUSTER=kind|host chooses the kind of cluster, KIND_NODE_IMAGE kind's Kubernetes, PORT the wanted port on this machine,
# IMAGES=packed|dockerfile how images are made, PROFILE=release optimised programs.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. deploy/scripts/cluster.sh

room=deploy/samples/lobby.yaml
cluster=$(cluster_kind)
deploy/scripts/packages.sh
deploy/scripts/tools.sh
deploy/scripts/images.sh
step "brings a Kubernetes up"
cluster_up
cluster_load "$images"/{operator,gateway,redis}.tar

troubled() { deploy/scripts/diagnose.sh >&2; die "$*"; }
# The strictest rule of pod security, for operator and room alike: what needs more shows here first.
for namespace in chatroom-system default; do
  kubectl get namespace "$namespace" >/dev/null 2>&1 || kubectl create namespace "$namespace" >/dev/null
  kubectl label --overwrite namespace "$namespace" pod-security.kubernetes.io/enforce=restricted >/dev/null
done

step "installs the operator"
helm upgrade --install chatroom-operator charts/chatroom-operator --namespace chatroom-system \
  --values "$images/values.yaml" --wait --timeout 3m >/dev/null || troubled "the operator did not start"
helm list --namespace chatroom-system

step "applies $room"
kubectl apply --filename "$room"
if [ "$cluster" = kind ]; then kubectl apply --filename deploy/kind/lobby.yaml; fi
kubectl wait --for=condition=Ready chatroom/lobby --timeout=3m || troubled "the room did not become ready"
# Ready stays true while a change rolls out; then the old gateways may still be the ones that answer.
kubectl wait --for=condition=Reconciling=false chatroom/lobby --timeout=3m || troubled "the room did not settle"

port=$(cluster_client_port)
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$port" && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && head -c 12 <&3 | grep -qE ' (200|426)$') 2>/dev/null; }
for _ in $(seq 100); do answers && break; sleep 0.1; done
answers || troubled "the room does not answer on port $port of this machine"
if [ "$port" != "${PORT:-8080}" ]; then echo "port ${PORT:-8080} of this machine is taken: the room is on $port"; fi
cat <<TEXT

The room is ready.
  clients   ws://127.0.0.1:$port/
  browser   http://127.0.0.1:$port/   (open it twice)
  kubectl   KUBECONFIG=$KUBECONFIG $( [ -x "$tools/kubectl" ] && echo "$tools/" )kubectl get rooms
  the end   make down
TEXT
