#!/usr/bin/env bash
# try-functions.sh: the sample room with functions, and the functions, as processes on this machine. PORT=… when 8080 is taken;
# REPLICAS=… gateways, with a redis-server from PATH between them. Ctrl-C ends all of it.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

sample=deploy/samples/functions
port=${PORT:-8080}
has python3 || die "python3 is missing: the functions are a Python program"
cargo build --locked --package chatroom-operator --package chatroom-gateway --bins
key=$(sed -n 's/^  keys: //p' "$sample/local.yaml")
url=http://127.0.0.1:$((port + 1))/push/$key PYTHONDONTWRITEBYTECODE=1 python3 "$sample/shim.py" --bind 127.0.0.1 "$sample/chat.py" &
functions=$!
# After the room: the ends of its last clients are told, too.
trap 'kill "$functions" 2>/dev/null || true; wait "$functions" 2>/dev/null || true' EXIT
# Ctrl-C reaches the whole group, and the room needs its time.
trap : INT
"${CARGO_TARGET_DIR:-target}/debug/chatroom" local "$sample/local.yaml" --port "$port" --replicas "${REPLICAS:-1}"
