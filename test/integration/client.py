# SPDX-License-Identifier: Apache-2.0
"""A client that believes nothing: bytes out, answers read strictly.

    Client         one connection, and the usual requests
    Response       an answer
    problem        checks a refusal: problem+json with its stable code
    request_bytes  a request as bytes, claim_bytes that of a claim
    speaks_for     the user of a request
"""
import json
import re
import socket
import urllib.parse

ANSWER_SECONDS = 20

ISSUE = "/api/v1/coupons/issue"
EVENTS = "/admin/v1/events"


# ---- answers ----

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
VALUE = re.compile(rb"[\x20-\x7e\t]*\Z")
DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct"
                  r"|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT\Z")


class Closed(Exception):
    """The connection ended where an answer was expected."""


class Response:
    def __init__(self, status, reason, fields, body):
        self.status, self.reason, self.fields, self.body = status, reason, fields, body

    def header(self, name):
        """The value of a field, None without it; never two of one name."""
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} twice: {self}"
        return values[0] if values else None

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def result(self):
        return self.json["result"]

    def __repr__(self):
        return f"<{self.status} {self.reason} {self.fields} {self.body[:300]!r}>"


def problem(response, status, code=None, field=None):
    """`response` is a refusal as RFC 9457 and DESIGN want it; returns its members."""
    assert response.status == status, response
    assert response.header("Content-Type") == "application/problem+json", response
    body = response.json
    assert body["status"] == status and body["title"] and body["detail"], response
    assert re.fullmatch(r"[a-z][a-z0-9_]*", body["code"]), response
    if code is not None:
        assert body["code"] == code, response
    assert body.get("field") == field, response
    if status in (429, 503):
        assert int(response.header("Retry-After")) >= 1, response
    return body


# ---- requests ----

def request_bytes(method, target, body=None, fields=(), version="1.1"):
    """A request as bytes; `body` is bytes, or anything that JSON can say."""
    lines = [f"{method} {target} HTTP/{version}", "Host: localhost"]
    if body is not None:
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        names = {name.lower() for name, _ in fields}
        if "content-type" not in names:
            lines.append("Content-Type: application/json")
        if not names & {"content-length", "transfer-encoding"}:
            lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


def claim_bytes(user, event, fields=()):
    return request_bytes("POST", ISSUE, {"user_id": user, "event_id": event}, fields)


def speaks_for(target, body):
    """The user whom a request is about, as its sender sees it; None for one that is about nobody."""
    match = re.search(r"/coupons/user/([^/]*)/event/", target)
    if match:
        return urllib.parse.unquote(match[1])
    try:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        return json.loads(text)["user_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def status_path(event):
    return f"/api/v1/coupons/status/{event}"


def user_path(user, event):
    return f"/api/v1/coupons/user/{user}/event/{event}"


class Client:
    """One connection. Answers are read strictly: what a careful parser would refuse fails.
    `sign` makes a token of a user, which requests about one then carry."""

    STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) ([ -~]+)")

    def __init__(self, address, source=None, seconds=ANSWER_SECONDS, buffer_bytes=None, sign=None):
        self.sign = sign
        self.socket = socket.socket(socket.AF_INET)
        self.socket.settimeout(seconds)
        if buffer_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        if source is not None:
            self.socket.bind((source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect(address)
        self.unread = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def end(self):
        """Sends nothing more; still reads."""
        self.socket.shutdown(socket.SHUT_WR)

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise Closed(f"the connection ended after {self.unread[:300]!r}")
        self.unread += data

    def _take(self, n):
        while len(self.unread) < n:
            self._more()
        data, self.unread = self.unread[:n], self.unread[n:]
        return data

    def _line(self):
        while b"\r\n" not in self.unread:
            assert len(self.unread) < 65536, "a line without end"
            self._more()
        line, self.unread = self.unread.split(b"\r\n", 1)
        return line

    def _chunks(self):
        body = b""
        while True:
            size = self._line()
            assert re.fullmatch(rb"[0-9a-fA-F]+", size), size
            size = int(size, 16)
            if size == 0:
                assert self._line() == b"", "trailers were not announced"
                return body
            body += self._take(size)
            assert self._take(2) == b"\r\n"

    def _fields(self):
        fields = []
        while True:
            line = self._line()
            if not line:
                return fields
            name, colon, value = line.partition(b":")
            assert colon and TOKEN.match(name) and VALUE.match(value), line
            fields.append((name.decode(), value.strip(b" \t").decode()))

    def _body(self, response, is_head):
        length, coding = response.header("Content-Length"), response.header("Transfer-Encoding")
        assert length is None or coding is None, response
        if is_head or response.status < 200 or response.status == 204:
            return b""
        if coding is not None:
            assert coding == "chunked", response
            return self._chunks()
        if length is not None:
            assert re.fullmatch(r"\d+", length), response
            return self._take(int(length))
        assert response.header("Connection") == "close", response
        return self.rest()

    def response(self, is_head=False):
        """The next answer. Closed when the connection ends first."""
        line = self._line()
        match = self.STATUS_LINE.fullmatch(line)
        assert match, line
        status = int(match[1])
        response = Response(status, match[2].decode(), self._fields(), b"")
        response.body = self._body(response, is_head)
        if status >= 200:
            assert DATE.match(response.header("Date") or ""), response
            assert response.header("Content-Type") or status == 204, response
        return response

    def rest(self):
        """Everything up to the end of the connection."""
        while True:
            try:
                self._more()
            except Closed:
                data, self.unread = self.unread, b""
                return data

    def expect_end(self):
        """Nothing more comes, and the connection ends (in good order: no reset)."""
        assert self.rest() == b""

    def is_open(self):
        """Nothing has come, and the connection has not ended."""
        self.socket.setblocking(False)
        try:
            return self.socket.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        finally:
            self.socket.settimeout(ANSWER_SECONDS)

    def _signed(self, target, body, fields):
        user = speaks_for(target, body) if self.sign else None
        if not isinstance(user, str) or "authorization" in {name.lower() for name, _ in fields}:
            return fields
        return [*fields, ("Authorization", f"Bearer {self.sign(user)}")]

    def claim_bytes(self, user, event):
        """As the function, with the user's token."""
        body = {"user_id": user, "event_id": event}
        return request_bytes("POST", ISSUE, body, self._signed(ISSUE, body, ()))

    def request(self, method, target, body=None, fields=(), version="1.1"):
        fields = self._signed(target, body, fields)
        self.send(request_bytes(method, target, body, fields, version))
        return self.response(is_head=method == "HEAD")

    def claim(self, user, event, **fields):
        named = [(name.replace("_", "-"), value) for name, value in fields.items()]
        return self.request("POST", ISSUE, {"user_id": user, "event_id": event}, named)

    def get(self, target):
        return self.request("GET", target)
