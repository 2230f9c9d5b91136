# SPDX-License-Identifier: Apache-2.0
"""Requests with another one hidden in their body, and what is to make one reader of two see it: what
each is, and its bytes. No server behind a gateway may ever be asked for HIDDEN.
"""
from malformed import HOST, JSON, POST, head

HIDDEN = "/api/v1/coupons/status/hidden"
INSIDE = b"GET " + HIDDEN.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED_END = b"0\r\n\r\n" + INSIDE  # for who reads chunks it is over at once
LENGTH = b"Content-Length: %d" % len(CHUNKED_END)


def either(*fields, line=POST, host=HOST, body=CHUNKED_END):
    return head(line, host, JSON, *fields) + body


def coded(field):
    return either(LENGTH, field)


CODINGS = [
    b"Transfer-Encoding: chunked", b"transfer-encoding: chunked", b"TRANSFER-ENCODING: CHUNKED",
    b"Transfer-Encoding:chunked", b"Transfer-Encoding:\tchunked", b"Transfer-Encoding: chunked ",
    b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked", b"Transfer-Encoding: chunKed",
    b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: identity, chunked", b"Transfer-Encoding: chunked, chunked",
    b"Transfer-Encoding: chunked;q=1", b'Transfer-Encoding: "chunked"', b"Transfer-Encoding: ,chunked",
    b"Transfer-Encoding: \x0bchunked", b"Transfer-Encoding: \x0cchunked",
    b"Transfer-Encoding: chunked\x00",
    b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding: gzip\r\n\tchunked", b" Transfer-Encoding: chunked",
    b"X: y\nTransfer-Encoding: chunked",
    b"X: y\rTransfer-Encoding: chunked", b"X: y\r\n\rTransfer-Encoding: chunked",
    b"Transfer_Encoding: chunked", b"Transfer.Encoding: chunked", b"Transfer-Encoding\x00: chunked",
    b"Transfer-Encoding\xc2\xa0: chunked", b"TE: chunked", b"Foo: bar\r\n\r\nTransfer-Encoding: chunked",
]

LENGTHS = [
    ("two lengths, the first short", either(b"Content-Length: 5", LENGTH)),
    ("two lengths, the second short", either(LENGTH, b"Content-Length: 5")),
    ("a list of lengths", either(b"Content-Length: 5, %d" % len(CHUNKED_END))),
    ("a length with a plus", either(LENGTH.replace(b": ", b": +"))),
    ("a length behind an underscore", either(LENGTH, b"Content_Length: 5")),
    ("a length that Connection names", either(LENGTH, b"Connection: Content-Length")),
    ("a length in HTTP/1.0", either(LENGTH, line=POST.replace(b"1.1", b"1.0"))),
    ("a length behind a bare LF", either(LENGTH, b"X: y\nContent-Length: 5")),
    ("a get with a length", either(LENGTH, line=b"GET /livez HTTP/1.1")),
    ("options with a length", either(LENGTH, line=b"OPTIONS /livez HTTP/1.1")),
    ("a delete with a length", either(LENGTH, line=b"DELETE /api/v1/coupons/issue HTTP/1.1")),
    ("an expectation", either(LENGTH, b"Expect: 100-continue")),
    ("an expectation that is none", either(LENGTH, b"Expect: 100-continue, chunked")),
    ("another protocol", either(LENGTH, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c",
                                b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")),
    ("a web socket", either(LENGTH, b"Connection: Upgrade", b"Upgrade: websocket")),
    ("a body for a path that is not passed on", either(LENGTH, line=b"POST /metrics HTTP/1.1")),
    ("a body that is too large", either(b"Content-Length: 5000", body=INSIDE.ljust(5000))),
]

LINES = [
    ("a request in the target",
     either(LENGTH, line=b"POST /api/v1/coupons/issue%20HTTP/1.1%0d%0aX:%20y HTTP/1.1")),
    ("line ends in the target",
     either(LENGTH, line=b"POST /api/v1/coupons/status/a%0d%0a%0d%0aGET%20/x HTTP/1.1")),
    ("a request in a value", either(LENGTH, b"Idempotency-Key: a%0d%0aX: y")),
    ("a bare LF in the line", either(LENGTH, line=b"POST /api/v1/coupons/issue\n HTTP/1.1")),
    ("an absolute target", either(LENGTH, line=b"POST http://other/api/v1/coupons/issue HTTP/1.1")),
    ("an absolute target without a path",
     either(LENGTH, line=b"POST http://other?/api/v1/coupons/issue HTTP/1.1")),
    ("a host with a line end", either(LENGTH, host=b"Host: a%0d%0aX: y")),
    ("a host with a tab", either(LENGTH, host=b"Host: a\tb")),
    ("a host with a slash", either(LENGTH, host=b"Host: a/b")),
    ("two hosts", either(LENGTH, host=b"Host: a\r\nHost: b")),
    ("a folded host", either(LENGTH, host=b"Host: a\r\n b")),
    ("no host", either(LENGTH, host=b"X: y")),
    ("a host of a variable", either(LENGTH, host=b"Host: $host")),
]

ATTACKS = [(f"coding {field!r}", coded(field)) for field in CODINGS] + LENGTHS + LINES


# ---- over HTTP/2, where a field may hold anything ----

def h2_fields(*fields, path="/api/v1/coupons/issue", method="POST", authority="localhost"):
    return [(":method", method), (":scheme", "https"), (":path", path), (":authority", authority),
            ("content-type", "application/json"), *fields]


BODY = CHUNKED_END.decode()
SPLIT = " HTTP/1.1\r\nHost: a\r\n\r\n" + INSIDE.decode()

H2_ATTACKS = [  # what each is, its fields
    ("a coding", h2_fields(("transfer-encoding", "chunked"))),
    ("a coding and a length",
     h2_fields(("transfer-encoding", "chunked"), ("content-length", str(len(BODY))))),
    ("a length that is too short", h2_fields(("content-length", "5"))),
    ("a length that is too long", h2_fields(("content-length", str(len(BODY) + 50)))),
    ("no length of a body", h2_fields()),
    ("two lengths", h2_fields(("content-length", str(len(BODY))), ("content-length", "5"))),
    ("a line end in a value", h2_fields(("idempotency-key", "a\r\nTransfer-Encoding: chunked"))),
    ("a bare LF in a value", h2_fields(("authorization", "a\nTransfer-Encoding: chunked"))),
    ("a bare CR in a value", h2_fields(("x-request-id", "a\rTransfer-Encoding: chunked"))),
    ("a NUL in a value", h2_fields(("origin", "a\0b"))),
    ("a request in a value", h2_fields(("traceparent", "a\r\n\r\n" + INSIDE.decode()))),
    ("a line end in a name", h2_fields(("a: b\r\ntransfer-encoding", "chunked"))),
    ("a colon in a name", h2_fields(("transfer-encoding: chunked\r\nx", "y"))),
    ("a name in capitals", h2_fields(("Transfer-Encoding", "chunked"))),
    ("a request in the path", h2_fields(path="/api/v1/coupons/issue" + SPLIT)),
    ("a space in the path", h2_fields(path=f"{HIDDEN} HTTP/1.1 ")),
    ("a request in the method", h2_fields(method="GET " + HIDDEN + " HTTP/1.1\r\nHost: a\r\n\r\nPOST")),
    ("a line end in the authority", h2_fields(authority="a\r\nTransfer-Encoding: chunked")),
    ("two paths", h2_fields((":path", HIDDEN))),
    ("two authorities", h2_fields((":authority", "other"))),
    ("a host beside the authority", h2_fields(("host", "other"))),
    ("a pseudo field at the end", h2_fields(("x", "y"), (":method", "GET"))),
    ("an unknown pseudo field", h2_fields((":protocol", "websocket"))),
    ("a connection", h2_fields(("connection", "transfer-encoding"), ("transfer-encoding", "chunked"))),
    ("an upgrade", h2_fields(("upgrade", "websocket"), ("connection", "upgrade"))),
]
