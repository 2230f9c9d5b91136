# SPDX-License-Identifier: Apache-2.0
"""NGINX with the files of deploy/nginx, and a server behind it that notes what reaches it.

    Gateway   a copy of deploy/nginx on free ports: start, stop, its clients
    Recorder  a server that reads requests strictly, keeps them, and answers as told
    Seen      a request that reached it

    ask, echoed, post_claim, unreachable   one request, and what is to come of it
"""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

from client import Client, problem, status_path
from harness import ROOT, wait_until

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
DEPLOYED = ROOT / "deploy" / "nginx"


class GatewayClient(Client):
    """NGINX has no words for some statuses, as RFC 9112 allows."""
    STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) ([ -~]*)")


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    with contextlib.ExitStack() as stack:
        for one in sockets:
            stack.enter_context(one)
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def changed(text, changes):
    for old, new in changes:
        assert old in text, f"deploy/nginx has no {old!r}"
        text = text.replace(old, new)
    return text


class Gateway:
    """In front of `addresses`. `changes` are pairs (text, in its place) of coupond.conf."""

    def __init__(self, folder, addresses, changes=(), trusted=(), origins=(), workers=1):
        self.folder = folder / "nginx"
        self.log = folder / "nginx.log"
        self.changes, self.workers = changes, workers
        shutil.copytree(DEPLOYED, self.folder)
        self._list(addresses)
        self._write("coupond/trusted.conf", "".join(f"set_real_ip_from {one};\n" for one in trusted))
        self._write("coupond/origins.conf", "".join(f"{one} $http_origin;\n" for one in origins))
        self.address, self.tls_port, self.process = None, None, None

    def _write(self, name, text):
        (self.folder / name).write_text(text)

    def _list(self, addresses):
        self._write("coupond/servers.conf", "".join(
            f"server {host}:{port} max_fails=1 fail_timeout=1s;\n" for host, port in addresses))

    def serve(self, addresses):
        """These from now on, while it runs."""
        self._list(addresses)
        self.process.send_signal(signal.SIGHUP)

    def _change(self, name, changes):
        self._write(name, changed((DEPLOYED / name).read_text(), changes))

    def _configure(self):
        port, self.tls_port = free_ports(2)
        self.address = ("127.0.0.1", port)
        self._change("coupond/listen.conf", [("listen 80 ", f"listen 127.0.0.1:{port} "),
                                             ("listen 443 ", f"listen 127.0.0.1:{self.tls_port} ")])
        self._change("nginx.conf", [("worker_processes auto", f"worker_processes {self.workers}"),
                                    ("error_log stderr crit", "error_log stderr error")])
        self._change("coupond.conf", self.changes)
        self.make_certificate()

    def make_certificate(self, *names):
        return subprocess.run([self.folder / "make-certificate", self.folder / "coupond", *names],
                              capture_output=True, text=True, timeout=60, check=True)

    def command(self, *words):
        """Started by root it would serve as somebody who may not enter the folder of a test."""
        user = ["-g", "user root;"] if os.geteuid() == 0 else []
        return [NGINX, "-p", str(self.folder), "-c", "nginx.conf", *user, *words]

    def test(self):
        return subprocess.run(self.command("-t"), capture_output=True, text=True, timeout=60,
                              check=False)

    def start(self):
        """Once more where somebody else took a port meanwhile."""
        for _ in range(3):
            self._configure()
            with self.log.open("wb") as log:
                self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                                stderr=log)
            wait_until(lambda: self._is_there() or self.process.poll() is not None, "NGINX", 60)
            if self.process.poll() is None:
                return self
        raise AssertionError(self.said())

    def _is_there(self):
        with contextlib.suppress(OSError), socket.create_connection(self.address, 1):
            return (self.folder / "nginx.pid").exists()
        return False

    def said(self):
        return self.log.read_text(errors="replace")

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    # -- as a server has them --

    sign = None

    def client(self, **options):
        return GatewayClient(self.address, **options)

    def curl(self, target, *words):
        """Over TLS, with the certificate believed. What came, then what `-w` asks for."""
        return subprocess.run(
            ["curl", "-sS", "--max-time", "30", "--cacert", self.folder / "coupond/certificate.pem",
             *words, f"https://localhost:{self.tls_port}{target}"],
            capture_output=True, text=True, timeout=60, check=False)


class Seen:
    """A request that reached the recorder."""

    def __init__(self, connection, line, fields, body):
        self.connection, self.fields, self.body = connection, fields, body
        self.method, self.target, self.version = line.split(" ")

    def header(self, name):
        """Never two of one name."""
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} twice: {self}"
        return values[0] if values else None

    def __repr__(self):
        return f"<{self.connection}: {self.method} {self.target} {self.fields} {self.body!r}>"


HEAD = re.compile(rb"([!-~]+ [!-~]+ HTTP/1\.1)\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[ -~]*\r\n)*)\r\n")


def usual(seen, _n):
    """Says what was asked: an answer that belongs to another request shows."""
    body = json.dumps({"target": seen.target, "body": seen.body.decode("latin-1")}).encode()
    head = (b"HTTP/1.1 200 OK\r\nDate: Wed, 25 Nov 2026 09:00:00 GMT\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
    return head if seen.method == "HEAD" else head + body


class Recorder:
    """Listens on a free port. `answer(seen, n)` makes the bytes of the n-th answer, from 0; nothing
    ends the connection. What is no strict request is in `malformed`."""

    def __init__(self, answer=usual):
        self.answer, self.seen, self.malformed = answer, [], []
        self.connections, self.lock, self.open = 0, threading.Lock(), set()
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = self.socket.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        with self.lock:
            for one in [self.socket, *self.open]:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                one, _ = self.socket.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(one, self.connections), daemon=True).start()

    def _serve(self, one, number):
        with one, contextlib.suppress(OSError):
            with self.lock:
                self.open.add(one)
            unread = b""
            while True:
                seen, unread = self._read(one, number, unread)
                if seen is None:
                    break
                with self.lock:
                    self.seen.append(seen)
                    n = len(self.seen) - 1
                answer = self.answer(seen, n)
                if not answer:
                    break
                one.sendall(answer)
        with self.lock:
            self.open.discard(one)

    def _read(self, one, number, unread):
        """(request, what is behind it); (None, b"") when there is none."""
        def more():
            nonlocal unread
            data = one.recv(65536)
            unread += data
            return data != b""

        while b"\r\n\r\n" not in unread:
            if not more():
                if unread:
                    self.malformed.append(unread)
                return None, b""
        match = HEAD.match(unread)
        if not match:
            self.malformed.append(unread)
            return None, b""
        unread = unread[match.end():]
        fields = [tuple(part.strip() for part in line.split(":", 1))
                  for line in match[2].decode().split("\r\n")[:-1]]
        seen = Seen(number, match[1].decode(), fields, b"")
        assert seen.header("Transfer-Encoding") is None, seen
        length = int(seen.header("Content-Length") or 0)
        while len(unread) < length:
            if not more():
                self.malformed.append(unread)
                return None, b""
        seen.body = unread[:length]
        return seen, unread[length:]


# ---- requests ----

STATUS = status_path("EV")


def ask(gateway, target=STATUS, source=None, **fields):
    with gateway.client(source=source) as client:
        named = [(name.replace("_", "-"), value) for name, value in fields.items()]
        return client.request("GET", target, fields=named)


def echoed(response):
    """The target that the recorder was asked for."""
    assert response.status == 200, response
    return response.json["target"]


def unreachable(response):
    problem(response, 503, "unreachable")
    assert 1 <= int(response.header("Retry-After")) <= 3


def post_claim(gateway, user="ada", event="EV", seconds=30):
    with gateway.client(seconds=seconds) as client:
        return client.claim(user, event)
