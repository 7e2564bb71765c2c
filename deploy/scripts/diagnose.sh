#!/usr/bin/env bash
# diagnose.sh [DIRECTORY]: prints what one would look up after a failure: rooms, pods, events, the words of operator and
# gateways; with a directory writes it there, with the logs of the cluster's components.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [ -n "${1:-}" ]; then
  . deploy/scripts/cluster.sh
  rm -rf "$1"
  mkdir -p "$1"
  "${BASH_SOURCE[0]}" >"$1/diagnosis.txt" 2>&1
  if [ -f "$chosen" ]; then cluster_logs "$1/cluster" >/dev/null 2>&1 || echo "the cluster's logs cannot be read"; fi
  echo "wrote $1"
  exit 0
fi

show() { printf '\n---- %s\n' "$*"; "$@" 2>&1 | tail -n 200; }
if ! kubectl get --raw /readyz >/dev/null 2>&1; then
  echo "the API server does not answer"
  for log in target/cluster/state/log/*.log; do if [ -f "$log" ]; then show tail -n 20 "$log"; fi; done
  exit 0
fi
show kubectl get chatrooms --all-namespaces --output wide
show kubectl get chatrooms --all-namespaces --output yaml
show kubectl get deployments,services,pods --all-namespaces --output wide
show kubectl get events --all-namespaces --sort-by=.lastTimestamp
kubectl get pods --all-namespaces --selector app.kubernetes.io/part-of=chatroom \
  --output jsonpath='{range .items[*]}{.metadata.namespace} {.metadata.name} {.status.containerStatuses[0].restartCount}{"\n"}{end}' |
  while read -r namespace pod restarts; do
    show kubectl logs --namespace "$namespace" "$pod" --tail 100
    if [ "${restarts:-0}" != 0 ]; then show kubectl logs --namespace "$namespace" "$pod" --tail 100 --previous; fi
  done
