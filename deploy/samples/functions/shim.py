"""Serves functions that were written for SCF over HTTP: what a gateway POSTs becomes `function(event, context)`, and
what that returns becomes the answer. Python's standard library is all it needs.

    url=http://lobby-push.default.svc/push/KEY python3 shim.py chat.py
    python3 shim.py register=r/index.py transport=t/index.py cleanup=c/index.py:main_handler

The first form takes the functions `register`, `transport` and `cleanup` of one file. The second takes each from a file
of its own, as functions of SCF had one; the name `main_handler` may be left out. Each is served at its name: POST
/register, /transport, /cleanup. GET /healthz is for probes.

With the environment variable `signing_keys`, the text of the Secret that `functions.signingSecretRef` names, calls that
are not signed with one of its keys are refused.
"""

import argparse
import base64
import binascii
import hashlib
import hmac
import http.server
import importlib.util
import json
import logging
import os
import pathlib
import signal
import socket
import socketserver
import sys
import threading
import time
import traceback

NAMES = ("register", "transport", "cleanup")
# A message of 32 MiB, the most that a room can allow, in base64 and its envelope.
MAX_BODY_BYTES = 48 * 1024 * 1024
# Longer than a gateway keeps an idle connection, so that none is closed in the moment in which a call is sent on it.
IDLE_SECONDS = 150
# For the calls that still run when the end is asked for.
GRACE_SECONDS = 20
# How far a signed call's time may be from now, in seconds; older ones may be somebody's recording.
SIGNED_SECONDS = 300


class Server(http.server.ThreadingHTTPServer):
    # Many clients may come in the same moment; the default lets 5 of them wait.
    request_queue_size = 1024
    # Idle connections must not hold up the end; running calls are waited for below.
    daemon_threads = True

    def __init__(self, bind, port, functions, signing_keys):
        self.address_family = socket.AF_INET6 if ":" in bind else socket.AF_INET
        super().__init__((bind, port), Handler)
        self.functions = functions
        self.signing_keys = signing_keys
        self.ending = False
        self.running = 0
        self.changed = threading.Condition()

    def server_bind(self):
        # HTTPServer's own would ask a name server for the name of this machine.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def count(self, step: int) -> None:
        with self.changed:
            self.running += step
            self.changed.notify_all()

    def finish(self) -> None:
        """Takes no more connections, and waits for the calls that run."""
        self.ending = True
        self.shutdown()
        with self.changed:
            self.changed.wait_for(lambda: self.running == 0, GRACE_SECONDS)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    # Head and body leave in one piece: else each answer waits for the acknowledgement of its head.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self):
        if self.path == "/healthz":
            self.answer(503 if self.server.ending else 200, {"ok": not self.server.ending})
        else:
            self.answer(404, {"errorMessage": "there is only /healthz to GET"})

    def do_POST(self):
        self.server.count(1)
        try:
            self.call()
            self.wfile.flush()
        finally:
            self.server.count(-1)

    def call(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            return self.answer(413, {"errorMessage": f"a Content-Length up to {MAX_BODY_BYTES} is needed"})
        body = self.rfile.read(int(length))
        name = self.path.strip("/")
        function = self.server.functions.get(name)
        if function is None:
            return self.answer(404, {"errorMessage": f"there is no function {name}"})
        if self.server.signing_keys and not is_signed(self.headers, body, self.server.signing_keys, time.time()):
            return self.answer(401, {"errorMessage": "the signature is missing, too old, or of another key"})
        try:
            event = json.loads(body)
        except ValueError:
            return self.answer(400, {"errorMessage": "the event is no JSON"})
        # SCF had more in it. A function that needs more of it needs a line here.
        context = {"function_name": name, "request_id": self.headers.get("webhook-id", "")}
        try:
            answered = json.dumps(function(event, context))
        except Exception:
            traceback.print_exc()
            return self.answer(500, {"errorMessage": f"{name} failed; its log says why"})
        self.answer_text(200, answered)

    def answer(self, status, value):
        self.answer_text(status, json.dumps(value))

    def answer_text(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.server.ending:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *arguments):
        """Says nothing: a line for each message of a chat would be too many."""


def is_signed(headers, body: bytes, keys: list[bytes], now: float) -> bool:
    """Whether one of the signatures is by one of the keys, and not old. As Standard Webhooks says it."""
    call, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not sent.isdigit() or abs(now - int(sent)) > SIGNED_SECONDS:
        return False
    signed = f"{call}.{sent}.".encode() + body
    expected = [b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in keys]
    given = headers.get("webhook-signature", "").encode().split()
    return any(hmac.compare_digest(one, other) for one in expected for other in given)


def signing_keys_of(text: str) -> list[bytes]:
    """One key a line, `whsec_` and base64."""
    try:
        return [base64.b64decode(line.strip().removeprefix("whsec_"), validate=True) for line in text.split()]
    except binascii.Error:
        sys.exit("shim: signing_keys holds a line that is not whsec_ and base64")


def function_of(argument: str):
    """What `FILE` or `FILE:FUNCTION` names."""
    file, _, name = argument.partition(":")
    return getattr(load(file), name or "main_handler")


def load(file: str):
    path = pathlib.Path(file).resolve()
    # A function may import what lies beside it.
    sys.path.insert(0, str(path.parent))
    # Three files of the same name are three modules.
    specification = importlib.util.spec_from_file_location("_".join(path.with_suffix("").parts[1:]), path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def functions_of(arguments: list[str]) -> dict:
    if len(arguments) == 1 and "=" not in arguments[0]:
        module = load(arguments[0])
        return {name: getattr(module, name) for name in NAMES if hasattr(module, name)}
    return {name: function_of(rest) for name, rest in (argument.split("=", 1) for argument in arguments)}


def main() -> None:
    parser = argparse.ArgumentParser(description="serves functions that were written for SCF over HTTP")
    parser.add_argument("functions", nargs="+", metavar="FILE | NAME=FILE[:FUNCTION]")
    everywhere = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"
    parser.add_argument("--bind", default=everywhere, help="the address to listen on; default: all of this machine's")
    parser.add_argument("--port", type=int, default=9000)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    keys = signing_keys_of(os.environ.get("signing_keys", ""))
    server = Server(options.bind, options.port, functions_of(options.functions), keys)
    for number in (signal.SIGTERM, signal.SIGINT):
        # A shell that started this in the background keeps Ctrl-C from it.
        if signal.getsignal(number) == signal.SIG_IGN:
            continue
        # In a thread: `shutdown` waits for the loop that this signal interrupts.
        signal.signal(number, lambda *_: threading.Thread(target=server.finish).start())
    print(f"serves {', '.join(server.functions)} on port {server.server_port}", flush=True)
    server.serve_forever()
    # The loop has ended; the thread that waits for the running calls is no daemon, and is waited for.


if __name__ == "__main__":
    main()
