"""What the sample's functions and the shim promise, against a gateway that only notes what is pushed to it.

python3 -m unittest discover --buffer deploy/samples/functions
"""

import base64
import hashlib
import hmac
import http.client
import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))

import chat
import shim


class Gateway(http.server.ThreadingHTTPServer):
    """Notes what is pushed, and answers with the statuses in `says`, then with 200."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Pushed)
        self.pushed, self.connections, self.says = [], set(), []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        os.environ["url"] = f"http://127.0.0.1:{self.server_port}/push/a-key"


class Pushed(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.connections.add(self.client_address)
        self.server.pushed.append(json.loads(body)["websocket"])
        self.send_response(self.server.says.pop(0) if self.server.says else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format, *arguments):
        pass


def of(connection_id, **more):
    return {"websocket": {"secConnectionID": connection_id, **more}}


def says(connection_id, text):
    return chat.transport(of(connection_id, action="data recv", dataType="text", data=text), {})


class Functions(unittest.TestCase):
    def setUp(self):
        self.gateway = Gateway()
        self.addCleanup(self.gateway.server_close)
        self.addCleanup(self.gateway.shutdown)
        self.addCleanup(os.environ.pop, "EVERYBODY", None)
        chat.disconnect()
        chat.members.clear()
        for connection_id in ("ann", "bob", "cy"):
            answer = chat.register(of(connection_id, action="connecting"), {})
            self.assertEqual((answer["errNo"], answer["websocket"]["secConnectionID"]), (0, connection_id))

    def heard(self):
        return sorted((push["secConnectionID"], push["data"]) for push in self.gateway.pushed)

    def test_everybody_but_the_sender_hears_with_the_count_over_one_connection(self):
        self.assertEqual(says("ann", "hello"), "send success")
        text = "hello(===Online people:3===)"
        self.assertEqual(self.heard(), [("bob", text), ("cy", text)])
        self.assertEqual(len(self.gateway.connections), 1)

    def test_binary_stays_as_it_came(self):
        chat.transport(of("ann", action="data recv", dataType="binary", data="AAE="), {})
        self.assertEqual(self.heard(), [("bob", "AAE="), ("cy", "AAE=")])

    def test_who_is_gone_is_forgotten_and_the_others_hear(self):
        self.gateway.says = [410, 200]
        says("ann", "hello")
        self.assertEqual((len(self.gateway.pushed), len(chat.members)), (2, 2))

    def test_what_was_surely_not_delivered_is_pushed_again(self):
        self.gateway.says = [503]
        says("ann", "hello")
        self.assertEqual(len(self.gateway.pushed), 3)

    def test_a_connection_that_the_gateway_closed_is_not_pushed_to(self):
        says("ann", "one")
        kept = chat.kept.connection
        kept.sock.shutdown(socket.SHUT_RD)
        self.assertTrue(chat.is_stale(kept))
        says("ann", "two")
        self.assertEqual(len(self.gateway.pushed), 4)

    def test_where_nobody_answers_the_call_ends_and_who_spoke_stays(self):
        os.environ["url"] = "http://127.0.0.1:1/push/a-key"
        self.assertEqual(says("ann", "hello"), "send success")

    def test_after_a_new_start_who_speaks_is_known_again(self):
        chat.members.clear()
        says("ann", "hello")
        self.assertEqual((self.heard(), chat.members), ([], {"ann"}))

    def test_an_end_may_be_told_twice(self):
        event = of("ann", action="closing")
        for _ in range(2):
            self.assertEqual(chat.cleanup(event, {}), event)
        self.assertEqual(chat.members, {"bob", "cy"})
        self.assertEqual(self.gateway.pushed[0], {"action": "closing", "secConnectionID": "ann"})

    def test_everybody_can_be_reached_with_one_push(self):
        os.environ["EVERYBODY"] = "1"
        says("ann", "hello")
        [push] = self.gateway.pushed
        self.assertEqual((push["secConnectionID"], push["exclude"]), ("*", ["ann"]))
        self.assertEqual(push["data"], "hello(===Online people:3===)")


SLOW = """
import time

def main_handler(event, context):
    print("runs", flush=True)
    time.sleep(1)
    return "done"
"""


class Shim(unittest.TestCase):
    def setUp(self):
        key = b"sixteen bytes of"
        self.key, self.release, self.called = key, threading.Event(), threading.Event()
        functions = {"register": lambda event, context: [event, context], "fails": lambda *_: 1 / 0}
        self.server = shim.Server("127.0.0.1", 0, functions, [])
        self.addCleanup(self.server.server_close)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.addCleanup(self.server.shutdown)

    def ask(self, method, path, body=b"", headers={}):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=10)
        self.addCleanup(connection.close)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def test_a_function_gets_the_event_and_its_return_value_is_the_answer(self):
        status, answer = self.ask("POST", "/register", b'{"a":1}', {"webhook-id": "x"})
        self.assertEqual((status, answer), (200, [{"a": 1}, {"function_name": "register", "request_id": "x"}]))

    def test_what_cannot_be_called_is_refused(self):
        with open(os.devnull, "w") as nowhere, unittest.mock.patch("sys.stderr", nowhere):
            asked = [
                ("GET", "/healthz"),
                ("GET", "/"),
                ("POST", "/no"),
                ("POST", "/register"),
                ("POST", "/fails", b"1"),
            ]
            self.assertEqual([self.ask(*one)[0] for one in asked], [200, 404, 404, 400, 500])

    def test_with_keys_only_calls_that_are_signed_lately_are_taken(self):
        self.server.signing_keys = shim.signing_keys_of(f"whsec_{base64.b64encode(self.key).decode()}\n")

        def signed(key, age):
            sent = int(time.time()) - age
            digest = hmac.digest(key, f"x.{sent}.1".encode(), hashlib.sha256)
            signature = f"v1,b3RoZXI= v1,{base64.b64encode(digest).decode()}"
            return {"webhook-id": "x", "webhook-timestamp": str(sent), "webhook-signature": signature}

        cases = [{}, signed(self.key, 0), signed(b"another key here", 0), signed(self.key, 3600)]
        self.assertEqual([self.ask("POST", "/register", b"1", one)[0] for one in cases], [401, 200, 401, 401])

    def test_a_call_that_runs_when_the_end_is_asked_for_is_answered(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        index = pathlib.Path(directory.name) / "index.py"
        index.write_text(SLOW)
        command = [sys.executable, HERE / "shim.py", "--port=0", f"transport={index}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            self.server.server_port = int(process.stdout.readline().split()[-1])
            answers = []
            asking = threading.Thread(target=lambda: answers.append(self.ask("POST", "/transport", b"{}")))
            asking.start()
            self.assertEqual(process.stdout.readline(), "runs\n")
            process.send_signal(signal.SIGTERM)
            asking.join()
            self.assertEqual((answers, process.wait()), ([(200, "done")], 0))


if __name__ == "__main__":
    unittest.main()
