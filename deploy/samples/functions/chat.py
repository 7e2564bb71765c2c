"""A small chat backend: three functions, written as handlers of SCF behind Tencent API Gateway would be.

    register    a client connects        remember its ID
    transport   a client said something  push it to everybody else, with the number of people
    cleanup     a client is gone         forget its ID

There is nothing of ChatRoom in here but the one block EVERYBODY. The file runs behind shim.py, which makes function
calls of the gateways' HTTP requests. The push URL, with the key at its end, comes from the environment variable `url`.

The IDs are kept in this process alone. That is enough to show how it goes, and it has two consequences:

- There can be one process of it. Several need a store that they share, as functions of SCF needed one.
- When it starts anew it knows nobody. Who says something is known again (see transport); who only listens hears nothing
  until it speaks or connects again, unless EVERYBODY is set. The ends of all of them are told to cleanup as ever; to
  forget somebody unknown does no harm.
"""

import http.client
import json
import logging
import os
import select
import threading
import urllib.parse

# How long one push may take, in seconds. All pushes of a call have to fit into `transport.timeoutSeconds`.
PUSH_SECONDS = 5

# Not print: calls that run at the same time would mix their lines.
log = logging.getLogger("chat")

members: set[str] = set()
# Calls run at the same time, each in a thread of its own.
lock = threading.Lock()


def register(event, context):
    connection_id = event["websocket"]["secConnectionID"]
    log.info(f"{connection_id} comes, {remember(connection_id)} online")
    return {"errNo": 0, "errMsg": "ok", "websocket": {"action": "connecting", "secConnectionID": connection_id}}


def transport(event, context):
    said = event["websocket"]
    sender = said["secConnectionID"]
    # Known already, unless this process is younger than the connection.
    online = remember(sender)
    message = {"action": "data send", "dataType": said["dataType"], "data": said["data"]}
    if said["dataType"] == "text":
        message["data"] += f"(===Online people:{online}===)"
    if os.environ.get("EVERYBODY"):
        # One call, however many there are, in one order for all and with a place in the room's repair log. It reaches
        # those whose IDs this process does not know as well. The platform had nothing like it. From some 200 clients on
        # it is the way to go: with one push for each, n clients that say a word each make n * n pushes.
        push({**message, "secConnectionID": "*", "exclude": [sender]})
    else:
        for connection_id in everybody():
            if connection_id != sender and not push({**message, "secConnectionID": connection_id}):
                # Nobody answers there: the others would wait for nothing as well.
                break
    return "send success"


def cleanup(event, context):
    connection_id = event["websocket"]["secConnectionID"]
    log.info(f"{connection_id} goes, {forget(connection_id)} online")
    # Not needed: the connection is gone. Handlers of the platform did it all the same, so it is answered with 200.
    push({"action": "closing", "secConnectionID": connection_id})
    return event


def remember(connection_id: str) -> int:
    """Answers how many are online then."""
    with lock:
        members.add(connection_id)
        return len(members)


def forget(connection_id: str) -> int:
    """Answers how many are online then. It may have been forgotten before: an end can be told twice."""
    with lock:
        members.discard(connection_id)
        return len(members)


def everybody() -> list[str]:
    """A copy: pushes are not made under the lock."""
    with lock:
        return list(members)


def push(websocket: dict) -> bool:
    """Sends one push; answers whether a gateway took notice. What cannot be delivered is dropped, and said in the log:
    one deaf client is no reason to keep the others waiting, nor to close who spoke, which an exception would do."""
    body = json.dumps({"websocket": websocket}).encode()
    try:
        status = post(body)
        if status == 503:
            # Surely not delivered, so once more is safe; over a new connection, which may lead to another gateway.
            disconnect()
            status = post(body)
    except (OSError, http.client.HTTPException) as error:
        # It may have been delivered. In a chat a line that is lost is better than one that comes twice.
        disconnect()
        log.info(f"a push got no answer: {type(error).__name__}")
        return False
    if status == 410:
        forget(websocket["secConnectionID"])
    elif status != 200:
        log.info(f"a push was answered with {status}")
    return True


# Each thread keeps its connection open for the next push: a new one for each push would cost more than the push.
kept = threading.local()


def post(body: bytes) -> int:
    url = urllib.parse.urlsplit(os.environ["url"])
    connection = getattr(kept, "connection", None)
    if connection is None or is_stale(connection):
        disconnect()
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        kept.connection = connection = kind(url.netloc, timeout=PUSH_SECONDS)
    connection.request("POST", url.path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def disconnect() -> None:
    connection = getattr(kept, "connection", None)
    if connection is not None:
        connection.close()
    kept.connection = None


def is_stale(connection: http.client.HTTPConnection) -> bool:
    """Whether the gateway has closed it meanwhile: then its end can be read. To find out by a push that fails would
    leave open whether it was delivered."""
    return connection.sock is None or bool(select.select([connection.sock], [], [], 0)[0])
