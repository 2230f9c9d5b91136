# SPDX-License-Identifier: Apache-2.0
"""How each example of an answer in docs/openapi.yaml comes about.

    Stage   an operation of the description, and a server of its own to ask
    WAYS    by example: what brings the server there, and asks
"""
import errno
import select
import socket

from client import EVENTS, claim_bytes, request_bytes
from harness import wait_until
from tokens import Secret, Tokens

EVENT, USER = "sample_event", "alice"
LOGIN = "/admin/v1/login"


class Stage:
    """An operation, and a server of its own to ask."""

    def __init__(self, operation, servers, request):
        self.operation, self.servers, self.request = operation, servers, request
        self.server, self.disk, self.tokens, self.held = None, None, None, []

    def start(self, *flags, **options):
        self.server = self.servers.start("--threads", "1", *flags, **options)
        return self.server

    def start_held(self, *flags):
        """A server whose disk stands still when told so; it keeps no copy."""
        self.disk = self.request.getfixturevalue("disk")
        return self.start(*flags, **self.disk.preload)

    def start_with_tokens(self):
        """A server that asks for the tokens of users; clients send none by themselves."""
        self.tokens = Tokens(self.servers.folder())
        self.start(*self.tokens.flags)
        self.create()

    def client(self):
        return self.server.client() if self.operation.is_public else self.server.admin_client()

    def fields(self):
        needs = self.operation.needs_token
        return [("Authorization", f"Bearer {self.server.token}")] if needs else []

    def body(self):
        """The first example of its request; where that cannot know the token, one with it."""
        if self.operation.id == "logIn":
            return {"token": self.server.token}
        return self.operation.body()

    def ask(self, body=None, query="", fields=(), method=None):
        """The operation with the first example of its request, or with `body`. A stream without end
        is ended."""
        method = method or self.operation.method
        with self.client() as client:
            client.send(request_bytes(method, self.operation.target() + query,
                                      self.body() if body is None else body,
                                      [*self.fields(), *fields]))
            if self.operation.is_endless and method == "GET":
                select.select([client.socket], [], [])
                self.server.terminate()  # which ends it in good order
            return client.response(is_head=method == "HEAD")

    def create(self, stock=1000, **members):
        self.server.create(EVENT, stock, **members)

    def change(self, verb, **members):
        response = self.server.admin("POST", f"{EVENTS}/{EVENT}/{verb}", members)
        assert response.status == 200, response

    def hold(self, user, event=EVENT):
        """A claim that waits for the disk."""
        client = self.server.client()
        self.held.append(client)
        client.send(claim_bytes(user, event))

    def end(self):
        if self.disk is not None:
            self.disk.heal()
        for client in self.held:
            client.close()


def plain(stage):
    """On an event of 1,000 coupons, where one is needed."""
    stage.start()
    if stage.operation.id != "createEvent":
        stage.create()
    if stage.operation.id in ("exportEvent", "getStatus", "getCouponOfUser", "returnCoupon"):
        stage.server.claim(USER, EVENT)
    if stage.operation.id == "resumeEvent":
        stage.change("pause")
    return stage.ask()


def already_issued(stage):
    stage.start()
    stage.create()
    stage.ask()
    return stage.ask()


def sold_out(stage):
    stage.start()
    stage.create(1)
    stage.server.claim("bob", EVENT)
    return stage.ask()


def not_started(stage):
    stage.start()
    stage.create(starts_at="2099-12-01T09:00:00Z")
    return stage.ask()


def ended(stage):
    stage.start()
    stage.create(ends_at="2020-12-01T09:00:00Z")
    return stage.ask()


def closed(stage):
    stage.start()
    stage.create()
    stage.change("close")
    return stage.ask()


def paused(stage):
    stage.start()
    stage.create()
    stage.change("pause")
    return stage.ask()


def returned(stage):
    stage.start()
    stage.create()
    stage.server.claim(USER, EVENT)
    stage.change("return", user_id=USER)
    return stage.ask()


def none(stage):
    stage.start()
    stage.create()
    return stage.ask()


def pending(stage):
    stage.start_held("--answer-timeout", "300ms")
    if stage.operation.id != "createEvent":
        stage.create()
    if stage.operation.id == "returnCoupon":
        stage.server.claim(USER, EVENT)
    stage.disk.hold()
    if stage.operation.id == "getCouponOfUser":
        stage.hold(USER)
        stage.disk.await_held()
    return stage.ask()


def bad_json(stage):
    stage.start()
    if stage.operation.id not in ("createEvent", "claim"):
        stage.create()
    return stage.ask(body=b" ")


def bad_idempotency_key(stage):
    stage.start()
    return stage.ask(fields=[("Idempotency-Key", "a b")])


def unauthorized(stage):
    stage.start()
    stage.fields = lambda: [("Authorization", "Bearer of-no-good-news")]
    return stage.ask(stage.operation.body())


def token_missing(stage):
    stage.start_with_tokens()
    return stage.ask()


def with_token(stage, key, user, **claims):
    return stage.ask(fields=[("Authorization", f"Bearer {key.token(user, **claims)}")])


def token_invalid(stage):
    stage.start_with_tokens()
    return with_token(stage, Secret(b"a secret that the server does not know"), USER)


def token_expired(stage):
    stage.start_with_tokens()
    return with_token(stage, stage.tokens.key, USER, exp=1700000000)


def token_user_mismatch(stage):
    stage.start_with_tokens()
    return with_token(stage, stage.tokens.key, "bob")


def limited(stage, name, other):
    """Asks until it is too often."""
    stage.start("--limit-loopback", f"--limit-{name}-burst", "1", f"--limit-{name}-rate", "0.01",
                f"--limit-{other}-rate", "0")
    stage.create()
    stage.ask()
    return stage.ask()


def limited_by_address(stage):
    return limited(stage, "address", "user")


def limited_by_user(stage):
    return limited(stage, "user", "address")


def session_of(stage):
    """The cookie of a log-in."""
    with stage.server.admin_client() as client:
        response = client.request("POST", LOGIN, {"token": stage.server.token})
    return ("Cookie", response.header("Set-Cookie").split(";")[0])


def cross_site(stage):
    stage.start()
    fields = [session_of(stage), ("Sec-Fetch-Site", "cross-site")]
    stage.fields = lambda: []
    return stage.ask(fields=fields)


def log_out(stage):
    stage.start()
    return stage.ask(fields=[session_of(stage), ("Sec-Fetch-Site", "same-origin")])


def no_token(stage):
    stage.start()
    return stage.ask(body={})


def too_many_failures(stage):
    stage.start()
    fields = [("Authorization", "Bearer wrong")] if stage.operation.needs_token else []
    for _ in range(40):  # each is held for longer
        client = stage.client()
        stage.held.append(client)
        client.send(request_bytes(stage.operation.method, stage.operation.target(),
                                  stage.operation.body(), fields))
        if select.select([client.socket], [], [], 0.1)[0]:
            response = client.response()
            if response.status == 429:
                return response
    raise AssertionError("all were looked at")


def too_many_streams(stage):
    stage.start()
    for _ in range(40):
        client = stage.client()
        stage.held.append(client)
        client.send(request_bytes("GET", stage.operation.target(), None, stage.fields()))
        select.select([client.socket], [], [])
        client.socket.setblocking(False)
        if client.socket.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 503":
            client.socket.settimeout(60)
            return client.response()
    raise AssertionError("all are looking on")


def unknown_stream(stage):
    stage.start()
    return stage.ask(query="?event=nowhere")


def of_file(name):
    """A file of the pages."""
    def way(stage):
        stage.start()
        stage.operation.target = lambda: f"/console/{name}"
        return stage.ask()
    return way


def nothing_there(stage):
    stage.start()
    return stage.ask()


def method_not_allowed(stage):
    stage.start()
    return stage.ask(method="DELETE")


def unsupported_media_type(stage):
    stage.start()
    return stage.ask(fields=[("Content-Type", "text/plain")])


def invalid_field(stage):
    stage.start()
    if stage.operation.id == "claim":
        return stage.ask(body={"event_id": EVENT})
    if stage.operation.id != "createEvent":
        stage.create()
    return stage.ask(body=dict(stage.operation.body(), operator=7))


def bad_user_id(stage):
    stage.start()
    stage.operation.target = lambda: f"/api/v1/coupons/user/-/event/{EVENT}"
    return stage.ask()


def bad_event_id(stage):
    stage.start()
    stage.operation.target = lambda: f"/api/v1/coupons/user/{USER}/event/a.b"
    return stage.ask()


def busy(stage):
    stage.start_held("--inflight-max", "16", "--answer-timeout", "30s")
    if stage.operation.id != "createEvent":
        stage.create()
    stage.server.create("other", 100)
    if stage.operation.id == "returnCoupon":
        stage.server.claim(USER, EVENT)
    stage.disk.hold()
    for n in range(16):
        if not stage.operation.needs_token:
            stage.hold(f"u{n}", "other")
            continue
        client = stage.server.admin_client()
        stage.held.append(client)
        client.send(request_bytes("POST", f"{EVENTS}/other/pause", {}, stage.fields()))
    while True:  # while there is a place, who asks takes it and waits
        client = stage.client()
        stage.held.append(client)
        client.send(request_bytes(stage.operation.method, stage.operation.target(),
                                  stage.operation.body(), stage.fields()))
        if select.select([client.socket], [], [], 1)[0]:
            return client.response()
        assert len(stage.held) < 40, "everybody may wait"


def code_key_missing(stage):
    server = stage.start()
    stage.create()
    server.claim(USER, EVENT)
    server.stop()
    (server.data / "code-1.key").rename(server.folder / "aside")
    (server.data / "code-2.key").write_text("a5" * 32 + "\n")
    (server.data / "code-2.key").chmod(0o600)
    server.restart()
    return stage.ask()


def too_many_connections(stage):
    stage.start("--connections-max", "1")
    for _ in range(40):  # the operator may open some more
        client = stage.client()
        stage.held.append(client)
        client.send(request_bytes(stage.operation.method, stage.operation.target(),
                                  stage.body(), stage.fields()))
        response = client.response()
        if response.status == 503:
            return response
    raise AssertionError("everybody was let in")


def draining(stage):
    """A request that had begun when the server was told to stop."""
    server = stage.start("--sqlite", "none", "--drain-timeout", "30s")
    request = request_bytes("GET", stage.operation.target())
    with server.client() as client:
        client.send(request[:-2])
        wait_until(lambda: server.health()["connections"] >= 2, "its first bytes")
        server.terminate()
        wait_until(lambda: "event=draining" in server.stderr(), "word of the end")
        client.send(request[-2:])
        return client.response()


def degraded(stage):
    stage.start_held("--answer-timeout", "300ms")
    stage.create()
    stage.disk.hold()
    assert stage.server.claim(USER, EVENT).status == 202
    return wait_until(lambda: answer_if(stage, "degraded"), "a journal that is slow")


def healthy(stage):
    stage.start()
    stage.create()
    return wait_until(lambda: answer_if(stage, "ok"), "a copy that has caught up")


def answer_if(stage, word):
    response = stage.ask()
    is_it = response.json["status"] == word and response.json["copy"]["status"] != "catching_up"
    return response if is_it else None


def no_space(stage):
    stage.start_held("--journal-segment", "64KiB")
    stage.disk.settle("fallocate")
    stage.disk.fail("fallocate", code=errno.ENOSPC)
    stage.create()
    for n in range(3000):
        if stage.server.claim(f"u{n}", EVENT).status == 503:
            break
    wait_until(lambda: stage.server.health()["journal"]["status"] == "low_space", "word of it")
    return stage.ask(body=dict(stage.operation.body(), event_id="another"))


def with_csv(stage):
    stage.start()
    stage.create()
    stage.server.claim(USER, EVENT)
    return stage.ask(query="?format=csv")


def bad_format(stage):
    stage.start()
    stage.create()
    return stage.ask(query="?format=xml")


def full_event(stage):
    stage.start()
    return stage.ask(body=stage.operation.bodies()["full"])


def event_exists(stage):
    stage.start()
    stage.create()
    return stage.ask()


def refused(stage):
    """A serial above the new stock is held."""
    stage.start()
    stage.create()
    stage.server.claim("ada", EVENT)
    stage.server.claim("bob", EVENT)
    return stage.ask(body={"total_stock": 1})


# By (operation, example), or (status, example) where all operations come to it alike.
WAYS = {
    ("claim", "issued"): plain, ("claim", "already_issued"): already_issued,
    ("claim", "sold_out"): sold_out,
    ("claim", "not_started"): not_started, ("claim", "ended"): ended,
    ("claim", "paused"): paused, (200, "returned"): returned,
    ("claim", "bad_idempotency_key"): bad_idempotency_key,
    ("getCouponOfUser", "issued"): plain, ("getCouponOfUser", "none"): none,
    ("getCouponOfUser", "user_id"): bad_user_id, ("getCouponOfUser", "event_id"): bad_event_id,
    ("getStatus", "active"): plain, ("getHealth", "ok"): healthy, ("getHealth", "degraded"): degraded,
    ("getHealth", "down"): draining, ("getLive", "ok"): nothing_there,
    ("getReady", "ready"): nothing_there, ("getReady", "not_ready"): draining,
    ("getMetrics", "first_lines"): nothing_there, ("listEvents", "events"): none,
    ("createEvent", "event"): plain, ("createEvent", "full"): full_event,
    ("createEvent", "event_exists"): event_exists, ("createEvent", "no_space"): no_space,
    ("getEvent", "event"): none, ("getViews", "views"): nothing_there,
    ("exportEvent", "ndjson"): plain, ("exportEvent", "csv"): with_csv,
    ("exportEvent", "format"): bad_format, ("restockEvent", "restock"): plain,
    ("rescheduleEvent", "reschedule"): plain, ("pauseEvent", "pause"): plain,
    ("resumeEvent", "resume"): plain, ("closeEvent", "close"): plain,
    ("returnCoupon", "return"): plain, ("restockEvent", "refused"): refused,
    ("returnCoupon", "not_a_holder"): none,
    (202, "pending"): pending, (400, "bad_json"): bad_json, (401, "unauthorized"): unauthorized,
    (404, "unknown_event"): nothing_there, (405, "method_not_allowed"): method_not_allowed,
    (409, "event_closed"): closed, (415, "unsupported_media_type"): unsupported_media_type,
    (422, "invalid_field"): invalid_field, (503, "busy"): busy,
    (401, "token_missing"): token_missing, (401, "token_invalid"): token_invalid,
    (401, "token_expired"): token_expired, (403, "token_user_mismatch"): token_user_mismatch,
    (429, "address"): limited_by_address, (429, "user"): limited_by_user,
    (403, "cross_site"): cross_site, (429, "too_many_failures"): too_many_failures,
    ("streamSnapshots", "first_event"): none, ("streamSnapshots", "unknown_event"): unknown_stream,
    ("streamSnapshots", "too_many_streams"): too_many_streams,
    ("logIn", "done"): nothing_there, ("logOut", "done"): log_out, ("logIn", "invalid_field"): no_token,
    ("getPage", "log_in"): nothing_there, (404, "not_found"): of_file("nothing.html"),
    **{("getPageFile", name): of_file(name)
       for name in ("console.html", "console.css", "console.js", "icon.svg")},
    (503, "code_key_missing"): code_key_missing, (503, "too_many_connections"): too_many_connections,
}
