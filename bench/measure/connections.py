# SPDX-License-Identifier: Apache-2.0
"""User memory of an idle connection: how much anonymous memory the server has more with many open
connections, of which each has had one answer and waits for its next request."""
import contextlib
import json
import pathlib
import re
import socket
import sys
import time

import harness
from harness import Coupond

SOURCES = 40  # addresses that the connections come from


def main():
    options = harness.arguments(__doc__, count=(10_000, "connections"))
    rows = []
    with harness.scratch() as folder, Coupond(options.coupond, folder) as server:
        server.sell_out("sold_event")
        with contextlib.ExitStack() as few:
            connect(server, 200, few, asks=True)
        time.sleep(0.5)
        before = anonymous_bytes(server.process.pid)
        for asks, words in ((False, "opened, nothing asked yet"), (True, "one answer, then idle")):
            with contextlib.ExitStack() as stack:
                connect(server, options.count, stack, asks)
                time.sleep(1)
                after = anonymous_bytes(server.process.pid)
            rows.append((words, f"{before:,}", f"{after:,}", f"{(after - before) / options.count:,.0f}"))
            time.sleep(1)
    harness.report(
        "connections", options,
        (f"{options.count:,} connections", "before, bytes", "with them, bytes", "bytes for each"), rows,
        ["RssAnon of the server; the memory of the kernel's sockets is not in it. The second row uses "
         "what the first one left allocated; the larger figure counts."])


def connect(server, count, stack, asks):
    port = int(server.url.rsplit(":", 1)[1])
    for i in range(count):
        sock = stack.enter_context(socket.socket())
        # A port may serve several connections to different peers: leave the choice to connect().
        sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        sock.bind((f"127.1.0.{1 + i % SOURCES}", 0))
        sock.settimeout(10)
        sock.connect(("127.0.0.1", port))
        if asks:
            ask(sock, i)


def ask(sock, i):
    body = json.dumps({"user_id": f"idle_{i}", "event_id": "sold_event"}).encode()
    sock.sendall(b"POST /api/v1/coupons/issue HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                 b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    answer = sock.recv(4096)
    if b"200" not in answer[:16] or b"sold_out" not in answer:
        raise SystemExit(f"connection {i} was answered {answer!r}")


def anonymous_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"RssAnon:\s*(\d+) kB", status)[1]) * 1024


if __name__ == "__main__":
    sys.exit(main())
