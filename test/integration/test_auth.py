# SPDX-License-Identifier: Apache-2.0
"""--auth jwt: who is refused and with which words, what is told without a token, keys and their
reload. That the rest of the contract holds is in test_contract.py.
"""
import json
import re
import signal
import time

import pytest
from client import EVENTS, ISSUE, claim_bytes, problem, request_bytes, status_path, user_path
from conftest import shared_server
from crowd import Crowd, Told
from harness import run, wait_until
from tokens import KeyPair, Secret, Tokens, b64, claims_of, compact, key_set

CHALLENGE = 'Bearer realm="coupond"'
INVALID = CHALLENGE + ', error="invalid_token"'


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    return Tokens(tmp_path_factory.mktemp("keys"), aud="shop")


@pytest.fixture(scope="module")
def shared(tmp_path_factory, tokens):
    tokens.flags = (*tokens.flags, "--jwt-audience", "shop", "--jwt-leeway", "2s")
    with shared_server(tmp_path_factory, tokens=tokens) as running:
        yield running


@pytest.fixture
def event(shared, request):
    name = f"e-{abs(hash(request.node.nodeid)):x}"
    shared.create(name, 3)
    return name


@pytest.fixture
def stranger(shared):
    """A client without tokens."""
    with shared.client(sign=None) as client:
        yield client


def refused(response, code, status=401, challenge=INVALID):
    problem(response, status, code, "Authorization" if status == 401 else "user_id")
    assert response.header("WWW-Authenticate") == challenge, response
    assert response.header("Connection") is None, response


def missing(response):
    refused(response, "token_missing", challenge=CHALLENGE)


def another(response):
    refused(response, "token_user_mismatch", status=403, challenge=None)


# ---- what asks for a token, and what does not ----

def test_a_claim_that_may_win_asks(shared, stranger, event):
    missing(stranger.claim("ada", event))
    assert shared.status_of(event)["total_participants"] == 0
    assert shared.claim("ada", event).result == "issued"


def test_a_coupon_that_is_there_is_for_its_holder(shared, stranger, event):
    won = shared.claim("ada", event).json
    missing(stranger.claim("ada", event))
    another(stranger.claim("ada", event, Authorization=f"Bearer {shared.sign('eve')}"))
    for user in ("bob", "eve"):
        shared.claim(user, event)
    missing(stranger.claim("ada", event))  # sold out, and still hers alone
    assert shared.claim("ada", event).json["coupon_id"] == won["coupon_id"]


def test_the_user_route_is_for_that_user(shared, stranger, event):
    for target in (user_path("ada", event), user_path("a%64a", event)):
        missing(stranger.get(target))
        another(stranger.request("GET", target, fields=[
            ("Authorization", f"Bearer {shared.sign('eve')}")]))
        assert shared.get(target).json["coupon"] is None
    for user in ("ada", "bob", "eve"):
        shared.claim(user, event)
    missing(stranger.get(user_path("ada", event)))
    missing(stranger.get(user_path("late", event)))
    head = stranger.request("HEAD", user_path("ada", event))
    assert (head.status, head.body) == (401, b"")
    assert shared.coupon_of("ada", event)["serial"] == 1


def test_who_gave_a_coupon_back(shared, stranger, event):
    shared.claim("ada", event)
    shared.event("return", event, "--user", "ada", "--reason", "test")
    missing(stranger.claim("ada", event))
    assert shared.claim("ada", event).result == "returned"


def test_what_everybody_is_told_alike_needs_no_token(shared, stranger, event):
    problem(stranger.claim("ada", "nowhere"), 404, "unknown_event", "event_id")
    problem(stranger.get(user_path("ada", "nowhere")), 404, "unknown_event", "event_id")
    shared.create("auth-tomorrow", 1, starts_at="2999-01-01T00:00:00Z")
    shared.create("auth-over", 1, ends_at="2001-01-01T00:00:00Z")
    assert stranger.claim("ada", "auth-tomorrow").result == "not_started"
    assert stranger.claim("ada", "auth-over").result == "ended"
    for user in ("ada", "bob", "eve"):
        shared.claim(user, event)
    for fields in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}):
        body = stranger.claim("late", event, **fields).json
        assert (body["result"], body["final"]) == ("sold_out", True)
    assert shared.claim("late", event).body == stranger.claim("late", event).body
    shared.create("auth-paused", 1)
    shared.event("pause", "auth-paused", "--reason", "test")
    assert stranger.claim("ada", "auth-paused").result == "paused"
    for target in (status_path(event), "/health", "/livez", "/readyz"):
        assert stranger.get(target).status == 200


def test_what_is_no_claim_is_told_so_first(stranger, event):
    problem(stranger.request("POST", ISSUE, b"{"), 400, "bad_json")
    problem(stranger.claim("a b", event), 422, "invalid_field", "user_id")
    problem(stranger.claim("ada", event, Content_Type="text/plain"), 415, "unsupported_media_type",
            "Content-Type")
    problem(stranger.request("GET", ISSUE), 405, "method_not_allowed")
    problem(stranger.get(user_path("-", event)), 422, "invalid_field", "user_id")


def test_administration_has_its_own_token(shared, event):
    response = shared.admin("GET", f"{EVENTS}/{event}", token=False)
    assert response.status == 401
    with shared.admin_client() as client:
        signed = [("Authorization", f"Bearer {shared.sign('ada')}")]
        assert client.request("GET", f"{EVENTS}/{event}", fields=signed).status == 401


# ---- tokens that are not good ----

def bad_tokens(key):
    """(name, what stands behind "Bearer ", code)"""
    good = key.token("ada", aud="shop")
    head, claims, signature = good.split(".")
    none = b64(compact({"alg": "none"}))
    now = time.time()
    other = Secret(b"another secret of 32 or more bytes")
    yield from (
        ("nothing", "", "token_missing"),
        ("garbage", "x", "token_invalid"),
        ("two parts", f"{head}.{claims}", "token_invalid"),
        ("four parts", f"{good}.x", "token_invalid"),
        ("not base64", f"!.{claims}.{signature}", "token_invalid"),
        ("padded", f"{head}.{claims}.{signature}=", "token_invalid"),
        ("cut short", good[:-1], "token_invalid"),
        ("a changed claim", f"{head}.{claims[:-2]}AA.{signature}", "token_invalid"),
        ("another's signature", other.token("ada", aud="shop"), "token_invalid"),
        ("no signature", f"{head}.{claims}.", "token_invalid"),
        ("alg none", f"{none}.{claims}.", "token_invalid"),
        ("alg none, signed", key.token("ada", {"alg": "none"}, aud="shop"), "token_invalid"),
        ("alg HS384", key.token("ada", {"alg": "HS384"}, aud="shop"), "token_invalid"),
        ("alg RS256", key.token("ada", {"alg": "RS256"}, aud="shop"), "token_invalid"),
        ("crit", key.token("ada", {"alg": "HS256", "crit": ["x"]}, aud="shop"), "token_invalid"),
        ("alg twice", key.token_of_text(b'{"alg":"none","alg":"HS256"}',
                                        compact(claims_of("ada", aud="shop"))), "token_invalid"),
        ("sub twice", key.token_of_text(b'{"alg":"HS256"}', b'{"sub":"eve","sub":"ada",'
                                        b'"aud":"shop","exp":99999999999}'), "token_invalid"),
        ("expired", key.token("ada", aud="shop", exp=now - 3), "token_expired"),
        ("no exp", key.token("ada", aud="shop", exp=None), "token_invalid"),
        ("exp is text", key.token("ada", aud="shop", exp="soon"), "token_invalid"),
        ("not yet", key.token("ada", aud="shop", nbf=now + 36000), "token_invalid"),
        ("another audience", key.token("ada", aud="bank"), "token_invalid"),
        ("no audience", key.token("ada"), "token_invalid"),
        ("no sub", key.token(None, aud="shop"), "token_invalid"),
        ("sub is a number", key.token(7, aud="shop"), "token_invalid"),
        ("too long", key.token("ada", {"alg": "HS256", "x": "x" * 7000}, aud="shop"),
         "token_invalid"),
    )


BAD_TOKENS = list(bad_tokens(Secret()))


@pytest.mark.parametrize("token, code", [row[1:] for row in BAD_TOKENS],
                         ids=[row[0] for row in BAD_TOKENS])
def test_a_bad_token(shared, stranger, event, token, code):
    check = missing if code == "token_missing" else lambda response: refused(response, code)
    check(stranger.claim("ada", event, Authorization=f"Bearer {token}".strip()))
    check(stranger.request("GET", user_path("ada", event), fields=[
        ("Authorization", f"Bearer {token}".strip())]))
    assert shared.status_of(event)["total_participants"] == 0
    assert shared.claim("ada", event).result == "issued"


@pytest.mark.parametrize("user", ["eve", "Ada", "ada.", "ad", ""])
def test_the_token_of_another(shared, stranger, event, user):
    response = stranger.claim("ada", event, Authorization=f"Bearer {shared.sign(user)}")
    if user:
        another(response)
    else:
        refused(response, "token_invalid")
    assert shared.status_of(event)["total_participants"] == 0


def test_within_the_leeway(shared, stranger, event, tokens):
    now = time.time()
    token = tokens.key.token("ada", aud=["x", "shop"], exp=now + 3600, nbf=now + 1.5)
    assert stranger.claim("ada", event, Authorization=f"Bearer {token}").result == "issued"


@pytest.mark.parametrize("scheme, is_good", [
    ("Bearer ", True), ("bearer ", True), ("BEARER ", True), ("Bearer   ", True),
    ("Basic ", False), ("Bearer", False), ("", False), ("Token ", False)])
def test_schemes(shared, stranger, event, scheme, is_good):
    response = stranger.claim("ada", event, Authorization=scheme + shared.sign("ada"))
    if is_good:
        assert response.result == "issued"
    else:
        missing(response)


def test_two_tokens_are_no_token(shared, stranger, event):
    good = f"Bearer {shared.sign('ada')}"
    stranger.send(claim_bytes("ada", event, [("Authorization", good), ("authorization", good)]))
    problem(stranger.response(), 400, "repeated_field")
    stranger.expect_end()
    assert shared.status_of(event)["total_participants"] == 0


def test_a_token_in_a_header_that_is_too_large(stranger, event):
    stranger.send(claim_bytes("ada", event, [("Authorization", "Bearer " + "x" * 17000)]))
    problem(stranger.response(), 431, "fields_too_large")
    stranger.expect_end()


# ---- on one connection ----

def test_a_connection_lives_on_after_a_refusal(shared, event):
    with shared.client(sign=None) as client:
        for _ in range(3):
            missing(client.claim("ada", event))
        good = f"Bearer {shared.sign('ada')}"
        assert client.claim("ada", event, Authorization=good).result == "issued"
        closed = client.claim("ada", event, Connection="close")
        assert closed.status == 401 and closed.header("Connection") == "close"
        client.expect_end()


def refusals_of(server):
    """What was counted, by code."""
    with server.admin_client() as client:
        text = client.get("/metrics").body.decode()
    return dict(re.findall(r'^coupond_claims_refused_total{code="(token_\w+)"} ([1-9]\d*)$', text,
                           re.M))


def test_refusals_keep_their_turn(servers, disk, tmp_path):
    """Behind claims that wait for the disk, refusals and sold out answers come in order."""
    tokens = Tokens(tmp_path)
    server = servers.start("--threads", "1", "--answer-timeout", "60s", tokens=tokens,
                           **disk.preload)
    server.create("EV", 100)
    server.create("gone", 1)
    server.claim("first", "gone")
    disk.hold()
    with server.client() as client:
        wanted = []
        for n in range(10):
            client.send(client.claim_bytes(f"good-{n}", "EV") + claim_bytes(f"bad-{n}", "EV")
                        + claim_bytes("late", "gone")
                        + request_bytes("GET", user_path(f"bad-{n}", "EV")))
            wanted += ["issued", 401, "sold_out", 401]
        disk.await_held()
        assert client.is_open()
        disk.release()
        told = [client.response() for _ in wanted]
        assert [one.status if one.status != 200 else one.result for one in told] == wanted
    assert server.status_of("EV")["total_participants"] == 10
    assert refusals_of(server) == {"token_missing": "10"}, "each was checked once"
    server.stop()


def test_refusals_are_counted(servers, tmp_path):
    tokens = Tokens(tmp_path)
    server = servers.start("--threads", "2", tokens=tokens)
    server.create("EV", 5)
    with server.client(sign=None) as client:
        client.claim("ada", "EV")
        for token in (tokens.key.token("eve"), tokens.key.token("ada", exp=1), "x", "y"):
            client.claim("ada", "EV", Authorization=f"Bearer {token}")
        client.get(user_path("ada", "EV"))  # no claim
    assert refusals_of(server) == {"token_missing": "1", "token_invalid": "2", "token_expired": "1",
                     "token_user_mismatch": "1"}


# ---- keys ----

@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    return {alg: KeyPair(folder, alg, kid) for alg, kid in (("RS256", "r"), ("ES256", "e"))}


def claim_with(server, token, user="ada", event="EV"):
    with server.client(sign=None) as client:
        return client.claim(user, event, Authorization=f"Bearer {token}")


@pytest.mark.parametrize("form", ["JWK set", "PEM"])
def test_keys_of_all_kinds(servers, tmp_path, pairs, form):
    rsa, ec, secret = pairs["RS256"], pairs["ES256"], Secret(kid="h")
    tokens = Tokens(tmp_path)
    if form == "PEM":
        tokens.write(f"# of the identity provider\n{rsa.pem}\n{ec.pem}", mode=0o644)
    else:
        tokens.write(key_set(rsa, ec, secret))
    server = servers.start("--threads", "1", tokens=tokens)
    assert f"event=token_keys keys={2 if form == 'PEM' else 3}" in server.stderr()
    server.create("EV", 100)
    for n, key in enumerate([rsa, ec] + [secret] * (form != "PEM")):
        assert claim_with(server, key.token(f"u{n}"), f"u{n}").result == "issued"
        assert claim_with(server, key.token(f"v{n}", {"alg": key.alg}), f"v{n}").result == "issued"
        unknown = claim_with(server, key.token(f"w{n}", {"alg": key.alg, "kid": "?"}), f"w{n}")
        assert unknown.status == (200 if form == "PEM" else 401)  # PEM has no names
    # The public key as a secret: in each text, under each name.
    for text in (rsa.pem, rsa.pem.strip(), ec.pem, json.dumps(rsa.jwk())):
        forged = Secret(text.encode())
        for kid in (None, "r", "e", "h"):
            header = {"alg": "HS256", **({"kid": kid} if kid else {})}
            refused(claim_with(server, forged.token("eve", header), "eve"), "token_invalid")
    refused(claim_with(server, rsa.token("eve", {"alg": "ES256", "kid": "e"}), "eve"), "token_invalid")
    server.stop()


def start_refused(*flags, told):
    done = run("serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", *flags, status=2)
    assert len(done.stderr.splitlines()) == 1 and told in done.stderr, done.stderr
    return done.stderr


@pytest.mark.parametrize("text, mode, told", [
    ("", 0o600, "no key"),
    ("{", 0o600, "not good JSON"),
    ('{"keys":[{"kty":"oct","k":"c2hvcnQ"}]}', 0o600, "5 bytes, HS256 needs at least 32"),
    (key_set(Secret()), 0o640, "is open to other users: run chmod 600"),
    (key_set(Secret()), 0o604, "is open to other users: run chmod 600"),
    (key_set(Secret(), Secret()), 0o600, "two keys for HS256"),
], ids=["empty", "no JSON", "short", "group", "others", "twice"])
def test_a_key_file_that_is_none(tmp_path, text, mode, told):
    path = tmp_path / "keys.json"
    path.write_text(text)
    path.chmod(mode)
    line = start_refused("--data-dir", str(tmp_path / "data"), "--auth", "jwt", "--jwt-keys",
                         str(path), told=told)
    assert line.startswith(f"coupond serve: --jwt-keys: {path}")
    assert not (tmp_path / "data").exists()


def test_how_not_to_ask_for_it(tmp_path):
    here = ("--data-dir", str(tmp_path / "data"))
    start_refused(*here, "--auth", "jwt", told="--auth jwt needs --jwt-keys")
    start_refused(*here, "--jwt-keys", "x", told="--jwt-keys without --auth jwt")
    start_refused(*here, "--auth", "jwt", "--jwt-keys", str(tmp_path / "none"), told="No such file")
    start_refused(*here, "--auth", "basic", told="--auth")
    assert "--auth jwt needs" in run("config", "--auth", "jwt", status=2).stderr


def test_only_users_taken_at_their_word_are_warned_of(servers, tmp_path):
    anywhere = ("--listen", "0.0.0.0:0")
    guarded = servers.start(*anywhere, tokens=Tokens(tmp_path))
    assert "event=no_authentication" not in guarded.stderr()
    assert "event=no_authentication" in servers.start(*anywhere).stderr()


def test_no_secret_and_no_token_is_ever_shown(servers, tmp_path):
    tokens = Tokens(tmp_path)
    server = servers.start("--log-level", "debug", tokens=tokens)
    server.create("EV", 2)
    seen = []
    with server.client(sign=None) as client:
        for token in [tokens.sign("ada"), tokens.sign("eve"), *(row[1] for row in BAD_TOKENS)]:
            seen += [part for part in token.split(".") if len(part) > 10]
            client.claim("ada", "EV", Authorization=f"Bearer {token}".strip())
    tokens.write(json.dumps({"keys": [{**tokens.key.jwk(), "alg": "RS256"}]}))
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "event=reload_refused" in server.stderr(), "the refusal")
    shown = server.stderr() + run("config", *tokens.flags).stdout + str(server.health())
    shown += json.dumps(server.export("EV"))
    secret = tokens.key.secret.decode()
    assert [part for part in [*seen, secret, b64(tokens.key.secret)] if part in shown] == []
    server.stop()
    assert secret not in server.stderr()


# ---- reload ----

def hang_up(server):
    """The lines that a SIGHUP brings."""
    before = len(server.stderr())
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: re.search(r"event=(reloaded|reload_refused) .*\n", server.stderr()[before:]),
               "word of the reload")
    return server.stderr()[before:].splitlines()


def test_keys_come_and_go_by_reload(servers, tmp_path):
    old, new = Secret(kid="old"), Secret(b"the next one, which has 32 bytes too", kid="new")
    tokens = Tokens(tmp_path, old)
    server = servers.start("--threads", "2", tokens=tokens)
    server.create("EV", 1000)
    users = iter(range(1000))

    def is_taken(key):
        """By every thread: connections are spread over them."""
        told = set()
        for _ in range(16):
            user = f"u{next(users)}"
            told.add(claim_with(server, key.token(user), user).status)
        return told

    assert (is_taken(old), is_taken(new)) == ({200}, {401})
    tokens.write(key_set(old, new))
    lines = hang_up(server)
    assert "event=token_keys keys=2" in lines[0] and "event=reloaded changed=0" in lines[-1]
    assert (is_taken(old), is_taken(new)) == ({200}, {200})
    tokens.write(key_set(new))
    hang_up(server)
    assert (is_taken(old), is_taken(new)) == ({401}, {200})
    # A file that is none, and one that is gone: the keys stay, and the line says why.
    tokens.write(key_set(new)[:-3])
    lines = hang_up(server)
    assert len(lines) == 1 and f"reason=\"--jwt-keys: {tokens.path}: not good JSON" in lines[0]
    tokens.path.unlink()
    assert "No such file" in hang_up(server)[0]
    assert (is_taken(old), is_taken(new)) == ({401}, {200})
    tokens.write(key_set(new), mode=0o644)
    assert "is open to other users" in hang_up(server)[0]
    tokens.write(key_set(old))
    hang_up(server)
    assert (is_taken(old), is_taken(new)) == ({200}, {401})
    server.stop()


def test_audience_and_leeway_come_by_reload(servers, tmp_path):
    tokens = Tokens(tmp_path)
    path = tmp_path / "coupond.conf"
    path.write_text("jwt-leeway = 10m\n")
    server = servers.start("--threads", "1", "--config", str(path), tokens=tokens)
    server.create("EV", 10)
    late = time.time() - 60
    assert claim_with(server, tokens.key.token("ada", exp=late)).result == "issued"
    refused(claim_with(server, tokens.key.token("bob", aud="shop"), "bob"), "token_invalid")
    path.write_text("jwt-audience = shop\njwt-leeway = 0\n")
    assert "event=reloaded changed=2" in hang_up(server)[-1]
    refused(claim_with(server, tokens.key.token("bob", aud="shop", exp=late), "bob"), "token_expired")
    assert claim_with(server, tokens.key.token("bob", aud="shop"), "bob").result == "issued"
    server.stop()


def test_how_users_are_asked_holds_until_a_restart(servers, tmp_path):
    tokens = Tokens(tmp_path)
    path = tmp_path / "coupond.conf"
    jwt = f"auth = jwt\njwt-keys = {tokens.path}\n"
    path.write_text(jwt)
    server = servers.start("--threads", "1", "--config", str(path))
    server.create("EV", 10)
    path.write_text("auth = none\n")
    lines = hang_up(server)
    assert len(lines) == 1 and "--auth jwt holds until a restart" in lines[0]
    missing(server.claim("ada", "EV"))
    server.stop()
    server.restart()
    assert server.claim("ada", "EV").result == "issued"
    path.write_text(jwt)
    assert any("event=option_needs_restart option=auth" in line for line in hang_up(server))
    assert server.claim("bob", "EV").result == "issued"
    server.stop()


@pytest.mark.threads
def test_reloads_under_load(servers, tmp_path):
    """Whoever has a key that every file holds is never refused, whatever else comes and goes."""
    key, other = Secret(kid="k"), Secret(b"another secret of 32 bytes or more", kid="other")
    tokens = Tokens(tmp_path, key)
    server = servers.start("--threads", "2", tokens=tokens)
    told = Told("EV", 1000)
    server.create("EV", 1000)
    work = Crowd(server, told, [f"u{n}" for n in range(3000)], threads=8)
    for n in range(40):
        tokens.write((key_set(key, other), key_set(key), key_set(other, key), "{")[n % 4])
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.02)
    work.wait()
    tokens.write(key_set(key))
    hang_up(server)
    told.check_against(server)
    assert "event=token_keys keys=2" in server.stderr()
    assert "event=reload_refused" in server.stderr()
    server.stop()


# ---- the generator ----

def load(server, *words, status=0):
    return run("load", "--url", "http://{}:{}".format(*server.ready.public), "--event", "EV",
               "--users", "500", "--connections", "8", "--admin", server.admin_url, "--data-dir",
               str(server.data), *words, status=status)


def test_the_generator_signs(servers, tmp_path):
    tokens = Tokens(tmp_path, Secret(kid="k"))
    server = servers.start("--threads", "2", "--jwt-audience", "shop", tokens=tokens)
    server.create("EV", 100)
    keys = ("--jwt-keys", str(tokens.path))
    done = load(server, *keys, "--jwt-audience", "shop", "--retries", "0.2", "--bad", "0.2",
                "--duplicates", "0.1", "--pipeline", "4")
    assert "export equal" in done.stdout
    server.create("other", 100)
    done = load(server, *keys, "--event", "other", status=1)  # for nobody in particular
    assert "401" in done.stdout
    assert "--jwt-keys: cannot open" in load(server, "--jwt-keys", "/nonexistent", status=2).stderr
    server.stop()
