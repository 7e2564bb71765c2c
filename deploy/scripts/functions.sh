#!/usr/bin/env bash
# functions.sh: the sample room with functions on the cluster of up.sh, with an image that is packed here. Safe to run again.
# NAMESPACE=… where; `default` if absent.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. deploy/scripts/cluster.sh

kubectl get crd chatrooms.chatroom.dev >/dev/null 2>&1 || die "no cluster with the operator is there; \`make up\` brings one up"
deploy/scripts/images.sh functions-sample
cluster_load "$images/functions-sample.tar"

step "applies deploy/samples/functions"
reference=$(cat "$images/functions-sample.ref")
overlay=$checkout/target/functions
mkdir -p "$overlay"
cat >"$overlay/kustomization.yaml" <<YAML
resources: [../../deploy/samples/functions]
images: [{name: "${reference%:*}", newTag: "${reference##*:}"}]
YAML
namespace=${NAMESPACE:-default}
kubectl apply --namespace "$namespace" --kustomize "$overlay"
kubectl rollout status --namespace "$namespace" deployment/chat-functions --timeout=3m
kubectl wait --namespace "$namespace" --for=condition=Ready chatroom/functions --timeout=3m
cat <<TEXT

The room is ready. To open it:
  kubectl port-forward --namespace $namespace service/functions 8090:80     and then http://127.0.0.1:8090/, twice
  kubectl logs --namespace $namespace --follow deployment/chat-functions    who comes and goes
The end:
  kubectl delete --namespace $namespace --kustomize deploy/samples/functions
TEXT
