# SPDX-License-Identifier: Apache-2.0
"""As much of HTTP/2 (RFC 9113, RFC 7541) as it takes to send what no client would.

    ask   one request over a connection of its own, with any bytes in its fields
"""
import socket
import ssl
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def text(value):
    """A string literal without Huffman coding; its length in a prefix of 7 bits."""
    data = value.encode("latin-1")
    n, head = len(data), b""
    if n < 127:
        return bytes([n]) + data
    n -= 127
    while n >= 128:
        head += bytes([n % 128 + 128])
        n //= 128
    return b"\x7f" + head + bytes([n]) + data


def request_bytes(fields, body):
    block = b"".join(b"\x00" + text(name) + text(value) for name, value in fields)
    return (PREFACE + frame(SETTINGS, 0, 0, b"") + frame(HEADERS, END_HEADERS, 1, block)
            + frame(DATA, END_STREAM, 1, body.encode()))


def ask(address, fields, body, seconds=20):
    """The bodies of what was answered, joined, and the kinds of frames of the stream; it ends with its
    answer, with its reset, or with the connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    answer, kinds, unread = b"", [], b""
    with socket.create_connection(address, seconds) as plain, context.wrap_socket(plain) as sock:
        assert sock.selected_alpn_protocol() == "h2"
        sock.sendall(request_bytes(fields, body))
        while True:
            while len(unread) < 9 or len(unread) < 9 + int.from_bytes(unread[:3], "big"):
                try:
                    data = sock.recv(65536)
                except ConnectionError:
                    data = b""
                if not data:
                    return answer, kinds
                unread += data
            n = int.from_bytes(unread[:3], "big")
            kind, flags, stream = struct.unpack(">BBI", unread[3:9])
            payload, unread = unread[9:9 + n], unread[9 + n:]
            if stream == 1:
                kinds.append(kind)
                answer += payload if kind == DATA else b""
            if kind in (RST_STREAM, GOAWAY) or (stream == 1 and flags & END_STREAM):
                return answer, kinds
