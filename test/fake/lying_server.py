#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A coupon server that lies in one chosen way, to see whether `coupond load` finds out.

    lying_server.py MODE [--stock N] [--held H]

Public and admin routes share one listener on 127.0.0.1 and a free port, which is printed. MODE
`honest` keeps the contract; every other mode breaks it in the way that its comment below says.
Standard library only.
"""
import argparse
import asyncio
import json
import re
import time

TOKEN = "token-of-the-lying-server"

# mode: what the server does wrong
MODES = {
    "honest": "nothing",
    "pending": "nothing: every 10th winner is told 202 first",
    "busy": "nothing: every 10th claim is told 503 first, with Retry-After",
    "cut_off": "nothing worse than closing every 40th connection in the middle of an answer",
    "closing": "nothing: every 10th answer says Connection: close and means it",
    "stall": "nothing worse than standing still for 400 ms at the 100th claim",
    "away": "nothing worse than being away for 700 ms from the 150th claim on, as if started anew",
    "oversell": "three more winners than coupons",
    "serial_twice": "a serial is given to two users",
    "serial_zero": "one serial is 0",
    "coupon_twice": "a coupon_id is given to two users",
    "coupon_changed": "a repeated claim gets another coupon_id",
    "issued_twice": "a repeated claim is told issued again",
    "unmarked": "a repeated claim is answered without Idempotent-Replayed",
    "taken_back": "a repeated claim of a winner is told sold out",
    "already_new": "a new user is told already_issued",
    "early": "sold out, final, with half of the stock issued",
    "early_not_final": "sold out, not final, with half of the stock issued",
    "reopened": "sold out, final, to 200 users before the last coupon is issued",
    "order": "pipelined answers come in the wrong order",
    "wrong_user": "an issued answer names another user",
    "wrong_event": "an issued answer names another event",
    "disagree": "success is false where result is issued",
    "no_issued_at": "a winner's answer lacks issued_at",
    "no_final": "sold out without saying whether it is final",
    "sold_with_coupon": "sold out, and a coupon_id with it",
    "unknown_result": "a word for result that nobody agreed on",
    "not_json": "a body that is not JSON",
    "twin_keys": "a body with a repeated key",
    "no_retry_after": "503 without Retry-After",
    "pending_for_ever": "202, and the query stays 202",
    "status_500": "one claim in 50 is answered 500",
    "bad_accepted": "malformed requests are answered 200",
    "garbage": "a status line that is none",
    "length_short": "Content-Length is too small",
    "length_long": "Content-Length is too large",
    "length_twice": "Content-Length is there twice",
    "chunked": "Transfer-Encoding: chunked",
    "unasked": "an answer that nobody asked for",
    "cut_always": "closes in the middle of every answer",
    "silent": "never answers a claim",
    "export_missing": "a winner is not in the export",
    "export_stranger": "the export has a holder who never claimed",
    "export_denied": "the export has a holder who was told sold out",
    "export_differs": "the export has another coupon_id than was told",
    "export_twice": "the export has a serial twice",
    "export_garbage": "a line of the export is no JSON",
    "export_refused": "the export is answered 401",
}

ID = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._~:@+-]{0,63}$")


class Server:
    def __init__(self, mode, stock, held):
        self.mode, self.stock = mode, stock
        self.holders = {}  # user -> (serial, coupon_id)
        self.losers = []
        self.claims = 0
        self.pending = set()
        for i in range(held):
            self.give(f"held-{i}")

    # ---- deciding ----

    def give(self, user):
        serial = len(self.holders) + 1
        code = f"CODE-{serial:06d}-{hash((serial, 'x')) & 0xffff:04x}"
        if self.mode == "serial_twice" and serial == 20:
            serial = 19
        if self.mode == "serial_zero" and serial == 20:
            serial = 0
        if self.mode == "coupon_twice" and serial == 20:
            code = self.holders[next(iter(self.holders))][1]
        self.holders[user] = (serial, code)
        return self.holders[user]

    def limit(self):
        if self.mode == "oversell":
            return self.stock + 3
        if self.mode in ("early", "early_not_final"):
            return self.stock // 2
        return self.stock

    def coupon(self, user, result, serial, code):
        body = {"success": True, "result": result, "message": "You have it.",
                "event_id": "E", "user_id": user, "coupon_id": code, "serial": serial,
                "remaining_stock": max(0, self.stock - len(self.holders)),
                "issued_at": "2026-11-23T08:43:00.123Z"}
        if self.mode == "wrong_user" and serial == 20:
            body["user_id"] = user[:-1] + ("1" if user[-1] != "1" else "2")
        if self.mode == "wrong_event" and serial == 20:
            body["event_id"] = "F"
        if self.mode == "disagree" and serial == 20:
            body["success"] = False
        if self.mode == "no_issued_at" and serial == 20:
            del body["issued_at"]
        if self.mode == "unknown_result" and serial == 20:
            body["result"] = "won"
        return body

    def sold_out(self, final):
        body = {"success": False, "result": "sold_out", "message": "All gone.",
                "coupon_id": None, "remaining_stock": 0, "final": final}
        if self.mode == "no_final":
            del body["final"]
        if self.mode == "sold_with_coupon":
            body["coupon_id"] = "CODE-000001"
        return 200, {}, body

    def repeat(self, user):
        serial, code = self.holders[user]
        if self.mode == "taken_back":
            return self.sold_out(True)
        if self.mode == "coupon_changed":
            code += "-other"
        if self.mode == "issued_twice":
            return 200, {}, self.coupon(user, "issued", serial, code)
        headers = {} if self.mode == "unmarked" else {"Idempotent-Replayed": "true"}
        return 200, headers, self.coupon(user, "already_issued", serial, code)

    def claim(self, user):
        """(status, headers, body)"""
        self.claims += 1
        if self.mode == "stall" and self.claims == 100:
            time.sleep(0.4)
        if self.mode in ("busy", "no_retry_after") and self.claims % 10 == 5:
            headers = {"Retry-After": "0"} if self.mode == "busy" else {}
            return problem(503, "busy", headers)
        if self.mode == "status_500" and self.claims % 50 == 7:
            return problem(500, "oops")
        if user in self.holders:
            return self.repeat(user)
        if self.mode == "reopened" and len(self.holders) == self.stock - 1:
            if len(self.losers) < 200:
                self.losers.append(user)
                return self.sold_out(True)
        if len(self.holders) >= self.limit():
            self.losers.append(user)
            return self.sold_out(self.mode != "early_not_final")
        serial, code = self.give(user)
        if self.mode == "already_new" and serial == 20:
            return self.repeat(user)
        if self.mode in ("pending", "pending_for_ever") and serial % 10 == 0:
            self.pending.add(user)
            return 202, {"Retry-After": "0"}, {"success": None, "result": "pending",
                                               "status_url": "/api/v1/"}
        return 200, {}, self.coupon(user, "issued", serial, code)

    def query(self, user):
        if self.mode == "pending_for_ever" and user in self.pending:
            return 202, {"Retry-After": "0"}, {"success": None, "result": "pending"}
        if user not in self.holders:
            return 200, {}, None
        return 200, {}, self.coupon(user, "issued", *self.holders[user])

    # ---- the export ----

    def export(self):
        rows = [[user, serial, code] for user, (serial, code) in self.holders.items()]
        if self.mode == "export_missing":
            del rows[7]
        if self.mode == "export_stranger":
            rows[7][0] = "stranger"
        if self.mode == "export_denied":
            rows[7][0] = self.losers[0]
        if self.mode == "export_differs":
            rows[7][2] += "X"
        if self.mode == "export_twice":
            rows.append(["another", rows[7][1], "CODE-of-another"])
        lines = [json.dumps({"event_id": "E", "serial": serial, "user_id": user,
                             "coupon_id": code, "issued_at": "2026-11-23T08:43:00.123Z"})
                 for user, serial, code in rows]
        if self.mode == "export_garbage":
            lines[7] = lines[7][:20]
        return "\n".join(lines) + "\n"

    # ---- routes ----

    def status(self):
        left = max(0, self.stock - len(self.holders))
        return 200, {}, {"event_id": "E", "total_stock": self.stock, "remaining_stock": left,
                         "total_participants": min(len(self.holders), self.stock),
                         "status": "active" if left else "sold_out",
                         "starts_at": None, "ends_at": None}

    def issue(self, method, headers, body):
        if self.mode == "bad_accepted" and b"a " in body[:14]:
            return self.sold_out(True)
        if method != "POST":
            return problem(405, "method_not_allowed", {"Allow": "POST"})
        if not headers.get("content-type", "").startswith("application/json"):
            return problem(415, "unsupported_type")
        try:
            pairs = json.loads(body, object_pairs_hook=list)
            fields = dict(pairs)
        except (ValueError, TypeError):
            return problem(400, "bad_json")
        if len(fields) != len(pairs):
            return problem(400, "repeated_key")
        user, event = fields.get("user_id"), fields.get("event_id")
        if not isinstance(user, str) or not ID.match(user) or not isinstance(event, str):
            return problem(422, "bad_field")
        if event != "E":
            return problem(404, "unknown_event")
        return self.claim(user)

    def route(self, method, path, headers, body):
        if path == "/api/v1/coupons/issue":
            return self.issue(method, headers, body)
        if path == "/api/v1/coupons/status/E":
            return self.status()
        found = re.match(r"/api/v1/coupons/user/([^/]+)/event/E$", path)
        if found:
            return self.query(found.group(1))
        if path.startswith("/admin/v1/events/E/export"):
            refused = self.mode == "export_refused"
            if refused or headers.get("authorization") != "Bearer " + TOKEN:
                return problem(401, "bad_token")
            return 200, {}, self.export()
        return problem(404, "not_found")


def problem(status, code, headers=None):
    return status, headers or {}, {"type": "about:blank", "title": code, "status": status,
                                   "code": code}


def encode(status, headers, body):
    text = body if isinstance(body, str) else json.dumps(body)
    kind = "application/problem+json" if status >= 400 else "application/json"
    lines = [f"HTTP/1.1 {status} Reason", f"Content-Type: {kind}",
             f"Content-Length: {len(text)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + text).encode()


def spoil(mode, answer, number):
    """Breaks every 50th answer as bytes."""
    if number % 50 != 20:
        return answer
    if mode == "garbage":
        return answer.replace(b"HTTP/1.1 2", b"HTTP/1.1 x", 1)
    if mode == "not_json":
        return answer[:-1] + b"]"
    if mode == "twin_keys":
        return answer.replace(b'"message"', b'"success"', 1)
    length = int(re.search(rb"Content-Length: (\d+)", answer).group(1))
    old = b"Content-Length: %d\r\n" % length
    if mode == "length_short":
        return answer.replace(old, b"Content-Length: %d\r\n" % (length - 3))
    if mode == "length_long":
        return answer.replace(old, b"Content-Length: %d\r\n" % (length + 3))
    if mode == "length_twice":
        return answer.replace(old, old + old)
    if mode == "chunked":
        head, body = answer.split(b"\r\n\r\n", 1)
        head = head.replace(old.rstrip(), b"Transfer-Encoding: chunked")
        return head + b"\r\n\r\n%x\r\n" % length + body + b"\r\n0\r\n\r\n"
    if mode == "unasked":
        return answer + answer
    return answer


async def read_request(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    lines = head.split("\r\n")
    method, path, _ = lines[0].split(" ")
    headers = {}
    for line in lines[1:]:
        if ":" in line:
            name, value = line.split(":", 1)
            headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return method, path.split("?")[0], headers, body


class Listener:
    def __init__(self, server):
        self.server = server
        self.claims = 0  # claims answered
        self.writers = set()
        self.leaves = asyncio.Event()

    async def listen(self):
        """Serves for ever; prints its port when it does."""
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=1024)
        port = server.sockets[0].getsockname()[1]
        print(port, flush=True)
        if self.server.mode == "away":
            await self.leaves.wait()
            server.close()
            for writer in self.writers:
                writer.transport.abort()
            await asyncio.sleep(0.7)
            server = await asyncio.start_server(self.serve, "127.0.0.1", port, backlog=1024)
        await server.serve_forever()

    async def serve(self, reader, writer):
        held_back = None  # in mode `order`: the first of a pair
        self.writers.add(writer)
        try:
            while True:
                request = await read_request(reader)
                is_claim = request[1] == "/api/v1/coupons/issue"
                answer = encode(*self.server.route(*request))
                if is_claim:
                    self.claims += 1
                    answer = spoil(self.server.mode, answer, self.claims)
                    if self.server.mode == "silent":
                        continue
                    if self.server.mode == "away" and self.claims == 150:
                        self.leaves.set()
                        break
                    if self.cuts():
                        writer.write(answer[:len(answer) // 2])
                        break
                    if self.server.mode == "closing" and self.claims % 10 == 3:
                        writer.write(answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                        break
                    if self.server.mode == "order" and reader._buffer and held_back is None:
                        held_back = answer
                        continue
                writer.write(answer)
                if held_back is not None:
                    writer.write(held_back)
                    held_back = None
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    def cuts(self):
        return self.server.mode == "cut_always" or (
            self.server.mode == "cut_off" and self.claims % 40 == 3)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=sorted(MODES))
    parser.add_argument("--stock", type=int, default=100)
    parser.add_argument("--held", type=int, default=0)
    options = parser.parse_args()
    listener = Listener(Server(options.mode, options.stock, options.held))
    await listener.listen()


if __name__ == "__main__":
    asyncio.run(main())
