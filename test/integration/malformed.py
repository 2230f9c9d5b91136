# SPDX-License-Identifier: Apache-2.0
"""Requests that two readers could understand differently, or that nobody should: what each is, its
bytes, and the status that refuses it. Behind each of them test_framing.py puts a good claim, which
nobody may ever see.
"""

CLAIM = b'{"user_id":"smuggled","event_id":"EV"}'
LENGTH = b"Content-Length: %d" % len(CLAIM)
JSON = b"Content-Type: application/json"
POST = b"POST /api/v1/coupons/issue HTTP/1.1"
HOST = b"Host: localhost"


def head(*lines):
    return b"\r\n".join(lines) + b"\r\n\r\n"


def post(*fields, body=CLAIM):
    """A claim with these fields besides Host and Content-Type."""
    return head(POST, HOST, JSON, *fields) + body


def get(*fields, line=b"GET /livez HTTP/1.1"):
    return head(line, HOST, *fields)


def chunked(body, *fields):
    return post(b"Transfer-Encoding: chunked", *fields, body=body)


LENGTHS = [
    ("two lengths", post(LENGTH, b"Content-Length: 5"), 400),
    ("two lengths, the first a lie", post(b"Content-Length: 5", LENGTH), 400),
    ("the same length twice", post(LENGTH, LENGTH), 400),
    ("the same length twice, in other letters", post(LENGTH, LENGTH.lower()), 400),
    ("a list of lengths", post(LENGTH + b", %d" % len(CLAIM)), 400),
    ("a length with a plus", post(b"Content-Length: +%d" % len(CLAIM)), 400),
    ("a length below zero", post(b"Content-Length: -1"), 400),
    ("a hexadecimal length", post(b"Content-Length: 0x26"), 400),
    ("a length with a fraction", post(b"Content-Length: 38.0"), 400),
    ("a length with a letter", post(b"Content-Length: 38a"), 400),
    ("a length in two words", post(b"Content-Length: 3 8"), 400),
    ("a length in quotes", post(b'Content-Length: "38"'), 400),
    ("an empty length", post(b"Content-Length:"), 400),
    ("a length of blanks", post(b"Content-Length:  \t "), 400),
    ("a length of 20 digits", post(b"Content-Length: 18446744073709551654"), 400),
    ("a length of many zeros", post(b"Content-Length: " + b"0" * 30 + b"38"), 400),
    ("a length that wraps at 32 bits", post(b"Content-Length: 4294967334"), 413),
    ("one byte too long", post(b"Content-Length: 4097"), 413),
    ("a get with two lengths", get(b"Content-Length: 0", b"Content-Length: 0"), 400),
]

CODINGS = [
    ("a length and chunked", post(LENGTH, b"Transfer-Encoding: chunked"), 400),
    ("chunked and a length", post(b"Transfer-Encoding: chunked", LENGTH), 400),
    ("chunked and the length 0", chunked(b"0\r\n\r\n", b"Content-Length: 0"), 400),
    ("a length and identity", post(LENGTH, b"Transfer-Encoding: identity"), 400),
    ("identity", post(b"Transfer-Encoding: identity"), 400),
    ("an unknown coding", post(b"Transfer-Encoding: gzip"), 400),
    ("gzip, then chunked", post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 400),
    ("chunked, then gzip", post(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"), 400),
    ("chunked, then identity", post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"), 400),
    ("chunked twice in one field", post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
     400),
    ("chunked twice", chunked(b"0\r\n\r\n", b"Transfer-Encoding: chunked"), 400),
    ("chunked and then identity", chunked(b"0\r\n\r\n", b"Transfer-Encoding: identity"), 400),
    ("chunked with a comma", post(b"Transfer-Encoding: chunked,", body=b"0\r\n\r\n"), 400),
    ("chunked with a parameter", post(b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"), 400),
    ("chunked in quotes", post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), 400),
    ("nearly chunked", post(b"Transfer-Encoding: xchunked", LENGTH), 400),
    ("chunked behind a vertical tab", post(b"Transfer-Encoding: \x0bchunked", LENGTH), 400),
    ("no coding", post(b"Transfer-Encoding:", LENGTH), 400),
    ("chunked in HTTP/1.0",
     head(b"POST /api/v1/coupons/issue HTTP/1.0", HOST, JSON, b"Transfer-Encoding: chunked")
     + b"0\r\n\r\n", 400),
    ("a space before the colon of the coding", post(b"Transfer-Encoding : chunked", LENGTH), 400),
    ("a tab before the colon of the length", post(b"Content-Length\t: 38"), 400),
    ("a folded coding", post(b"Transfer-Encoding:\r\n chunked", LENGTH), 400),
    ("a coding behind a bare LF", post(b"X: y\nTransfer-Encoding: chunked", LENGTH), 400),
    ("a coding behind a bare CR", post(b"X: y\rTransfer-Encoding: chunked", LENGTH), 400),
]

CHUNKS = [
    ("no chunk size", chunked(b"\r\n0\r\n\r\n"), 400),
    ("a chunk size that is no number", chunked(b"g\r\nx\r\n0\r\n\r\n"), 400),
    ("a chunk size with 0x", chunked(b"0x26\r\n" + CLAIM + b"\r\n0\r\n\r\n"), 400),
    ("a chunk size with a plus", chunked(b"+26\r\n" + CLAIM + b"\r\n0\r\n\r\n"), 400),
    ("a chunk size below zero", chunked(b"-1\r\n" + CLAIM + b"\r\n0\r\n\r\n"), 400),
    ("a chunk size behind a space", chunked(b" 26\r\n" + CLAIM + b"\r\n0\r\n\r\n"), 400),
    ("a chunk size before a space", chunked(b"26 \r\n" + CLAIM + b"\r\n0\r\n\r\n"), 400),
    ("a chunk size that wraps", chunked(b"10000000000000026\r\n" + CLAIM + b"\r\n0\r\n\r\n"), 413),
    ("a chunk size of many digits", chunked(b"0" * 5200 + b"26\r\n" + CLAIM + b"\r\n0\r\n\r\n"), 413),
    ("a chunk size line that ends in LF", chunked(b"26\n" + CLAIM + b"\r\n0\r\n\r\n"), 400),
    ("a chunk size line that ends in CR", chunked(b"26\r" + CLAIM + b"\r\n0\r\n\r\n"), 400),
    ("a bare LF in a chunk extension", chunked(b"26;a\nb\r\n" + CLAIM + b"\r\n0\r\n\r\n"), 400),
    ("a NUL in a chunk extension", chunked(b"26;a\x00b\r\n" + CLAIM + b"\r\n0\r\n\r\n"), 400),
    ("a chunk longer than it says", chunked(b"25\r\n" + CLAIM + b"\r\n0\r\n\r\n"), 400),
    ("a chunk shorter than it says", chunked(b"27\r\n" + CLAIM + b"\r\n0\r\n\r\n"), 400),
    ("a chunk without its line end", chunked(b"26\r\n" + CLAIM + b"0\r\n\r\n"), 400),
    ("a chunk that ends in LF", chunked(b"26\r\n" + CLAIM + b"\n0\r\n\r\n"), 400),
    ("a last chunk that ends in LF", chunked(b"26\r\n" + CLAIM + b"\r\n0\n\n"), 400),
    ("a trailer without a colon", chunked(b"26\r\n" + CLAIM + b"\r\n0\r\nnonsense\r\n\r\n"), 400),
    ("a trailer with a space in its name", chunked(b"26\r\n" + CLAIM + b"\r\n0\r\na b: c\r\n\r\n"), 400),
    ("a folded trailer", chunked(b"26\r\n" + CLAIM + b"\r\n0\r\nA: b\r\n c\r\n\r\n"), 400),
    ("a chunk too large", chunked(b"1001\r\n" + b" " * 4097 + b"\r\n0\r\n\r\n"), 413),
    ("chunks too large together", chunked(b"800\r\n" + b" " * 2048 + b"\r\n801\r\n" + b" " * 2049
                                          + b"\r\n0\r\n\r\n"), 413),
]

LINES = [
    ("request line that ends in LF", b"GET /livez HTTP/1.1\nHost: a\r\n\r\n", 400),
    ("request line that ends in CR", b"GET /livez HTTP/1.1\rHost: a\r\n\r\n", 400),
    ("request line that ends in CR CR LF", b"GET /livez HTTP/1.1\r\r\nHost: a\r\n\r\n", 400),
    ("field that ends in LF", b"GET /livez HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    ("head that ends in LF", b"GET /livez HTTP/1.1\r\nHost: a\r\n\n", 400),
    ("head all in LF", b"GET /livez HTTP/1.1\nHost: a\n\n", 400),
    ("a CR in a value", get(b"X: a\rb"), 400),
    ("a CR before the CR LF", get(b"X: a\r"), 400),
    ("three empty lines before", b"\r\n\r\n\r\n" + get(), 400),
    ("a bare LF before", b"\n" + get(), 400),
    ("a NUL in a value", get(b"X: a\x00b"), 400),
    ("a NUL in a name", get(b"X\x00Y: a"), 400),
    ("a NUL in the target", get(line=b"GET /li\x00vez HTTP/1.1"), 400),
    ("a NUL before", b"\x00" + get(), 400),
    ("an escape byte in a value", get(b"X: \x1b[31m"), 400),
    ("a DEL in a value", get(b"X: \x7f"), 400),
    ("a folded field", get(b"X: a", b" b"), 400),
    ("a field folded by a tab", get(b"X: a", b"\tb"), 400),
    ("a first field with a space before it",
     b"GET /livez HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n", 400),
    ("a field with a space before the colon", get(b"X : a"), 400),
    ("a field with a space in its name", get(b"X Y: a"), 400),
    ("a field without a name", get(b": a"), 400),
    ("a field without a colon", get(b"nonsense"), 400),
    ("a field whose name is no token", get(b"X(Y): a"), 400),
    ("a field whose name is not ASCII", get(b"\xc3\xa9: a"), 400),
]

HOSTS = [
    ("no host", head(b"GET /livez HTTP/1.1", b"X: y"), 400),
    ("nothing but a request line", b"GET /livez HTTP/1.1\r\n\r\n", 400),
    ("two hosts", get(b"Host: other"), 400),
    ("the same host twice", get(HOST), 400),
    ("an empty host", head(b"GET /livez HTTP/1.1", b"Host:"), 400),
    ("a host with a space", head(b"GET /livez HTTP/1.1", b"Host: a b"), 400),
    ("a host with a comma", head(b"GET /livez HTTP/1.1", b"Host: a,b"), 400),
    ("a host with a user", head(b"GET /livez HTTP/1.1", b"Host: u@a"), 400),
    ("a host with a path", head(b"GET /livez HTTP/1.1", b"Host: a/b"), 400),
    ("a host with a port of letters", head(b"GET /livez HTTP/1.1", b"Host: a:http"), 400),
    ("a host cut short", head(b"GET /livez HTTP/1.1", b"Host: [::1"), 400),
]

REQUEST_LINES = [
    ("two spaces", get(line=b"GET  /livez HTTP/1.1"), 400),
    ("two spaces before the version", get(line=b"GET /livez  HTTP/1.1"), 400),
    ("a space before the method", get(line=b" GET /livez HTTP/1.1"), 400),
    ("a space behind the version", get(line=b"GET /livez HTTP/1.1 "), 400),
    ("a space in the target", get(line=b"GET /li vez HTTP/1.1"), 400),
    ("tabs", get(line=b"GET\t/livez\tHTTP/1.1"), 400),
    ("no version", get(line=b"GET /livez"), 400),
    ("no target", get(line=b"GET HTTP/1.1"), 400),
    ("only a method", get(line=b"GET"), 400),
    ("a version in small letters", get(line=b"GET /livez http/1.1"), 400),
    ("a version of two digits", get(line=b"GET /livez HTTP/1.10"), 400),
    ("a version without its point", get(line=b"GET /livez HTTP/11"), 400),
    ("a version of another protocol", get(line=b"GET /livez ICAP/1.0"), 400),
    ("HTTP/2.0", get(line=b"GET /livez HTTP/2.0"), 505),
    ("HTTP/0.9", get(line=b"GET /livez HTTP/0.9"), 505),
    ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("a method that is no token", get(line=b"G(T /livez HTTP/1.1"), 400),
    ("a method that is not ASCII", get(line=b"G\xc3\x89T /livez HTTP/1.1"), 400),
    ("a target without a slash", get(line=b"GET livez HTTP/1.1"), 400),
    ("a star for GET", get(line=b"GET * HTTP/1.1"), 400),
    ("a target for CONNECT", get(line=b"CONNECT localhost:80 HTTP/1.1"), 400),
    ("a target with another scheme", get(line=b"GET ftp://localhost/livez HTTP/1.1"), 400),
    ("a target with an empty host", get(line=b"GET http:///livez HTTP/1.1"), 400),
    ("a target with a user", get(line=b"GET http://u@localhost/livez HTTP/1.1"), 400),
    ("a target that is not ASCII", get(line=b"GET /liv\xc3\xa9z HTTP/1.1"), 400),
    ("a target with a fragment", get(line=b"GET /livez#x HTTP/1.1"), 400),
    ("the hello of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 40, 400),
    ("a line of a chat", b"hello?\r\n", 400),
    ("an expectation that is none", get(b"Expect: 200-ok"), 417),
    ("two expectations", get(b"Expect: 100-continue, x"), 417),
]

MALFORMED = LENGTHS + CODINGS + CHUNKS + LINES + HOSTS + REQUEST_LINES
