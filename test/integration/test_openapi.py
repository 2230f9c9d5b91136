# SPDX-License-Identifier: Apache-2.0
"""docs/openapi.yaml is what the program does: every route and code of the sources, every example of
an answer provoked on a server of its own and compared, and what Schemathesis makes of it.

Needs the packages of test/openapi.txt; `./check openapi` brings them.
"""
import json
import re
import subprocess
import sys

import pytest

pytest.importorskip("yaml")
pytest.importorskip("jsonschema")
pytest.importorskip("referencing")

from client import status_path  # noqa: E402
from harness import ROOT, count  # noqa: E402
from openapi import (DOCUMENT, EXAMPLES, OPERATIONS, PATH, SNAPSHOT, Operation,  # noqa: E402
                     unlike, unlike_text)
from openapi_ways import EVENT, USER, WAYS, Stage  # noqa: E402
from test_live import Stream  # noqa: E402
from tokens import Tokens  # noqa: E402

pytestmark = pytest.mark.openapi


# ---- the description itself ----

def test_it_is_good_openapi():
    done = subprocess.run([sys.executable, "-m", "openapi_spec_validator", str(PATH)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def routes_of_the_program():
    """(path with {} for each parameter, method, whether it is public) as src/api/routes.c has them."""
    text = (ROOT / "src" / "api" / "routes.c").read_text("utf-8")
    public = text[text.index("#define PUBLIC_ROUTES"):text.index("const struct route public_routes[]")]
    admin = text[text.index("const struct route admin_routes[]"):]
    row = re.compile(r'(?:PLAIN|WITH_PARAMETERS)\("([^"]+)",\s*(\w+)')
    found = {}
    for part, is_public in ((public, True), (admin, False)):
        for path, method in row.findall(part):
            found.setdefault((path, method.lower()), is_public)
    assert len(found) > 10, "the table looks otherwise now"
    return {(path, method, is_public) for (path, method), is_public in found.items()}


def test_every_route_is_described_and_no_other():
    described = {(re.sub(r"\{\w+\}", "{}", operation.path), operation.method.lower(),
                  operation.is_public) for operation in OPERATIONS}
    asked = {(path, "options", True) for path, _, is_public in described
             if is_public and path.startswith("/api/")}  # before requests of pages
    assert described == routes_of_the_program() | asked


def codes_of_the_program():
    found = set()
    for path in [*(ROOT / "src" / "api").glob("*.c"), ROOT / "lib" / "http" / "refusal.h"]:
        text = path.read_text("utf-8")
        found |= set(re.findall(r'\.code = "(\w+)"', text))
        for assigned in re.findall(r"->code = ([^;]*);", text):
            found |= set(re.findall(r'"(\w+)"', assigned))
        found |= set(re.findall(r'ROW\(\w+, \d+, "(\w+)"', text))
        found |= set(re.findall(r'\[REFUSED_\w+\] = "(\w+)"', text))
    return found


def test_every_code_is_described_and_no_other():
    described = set()
    for schema in DOCUMENT["components"]["schemas"].values():
        code = schema.get("properties", {}).get("code", {})
        described |= set(code.get("enum", [])) | ({code["const"]} if "const" in code else set())
    assert described == codes_of_the_program()


def test_every_answer_has_an_example():
    for operation in OPERATIONS:
        for status in operation.node["responses"]:
            _, node = operation.response(status)
            assert node.get("content") or status == "204"
            for kind, content in node.get("content", {}).items():
                assert content.get("examples"), (operation, status, kind)


# ---- requests that cannot be framed ----

def framed(*lines, body=b""):
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def with_field(line):
    """A request of the operation with one more line in its head."""
    return lambda op: framed(f"{op.method} {op.target()} HTTP/1.1", "Host: localhost", line)


def with_line(form):
    """A request with another request line."""
    return lambda op: framed(form.format(method=op.method, target=op.target()), "Host: localhost")


def with_chunks(chunks):
    return lambda op: framed(f"{op.method} {op.target()} HTTP/1.1", "Host: localhost",
                             "Transfer-Encoding: chunked", body=chunks)


MALFORMED = {
    "bad_request_line": with_line("{method} {target}"),
    "bad_method": with_line("G@T {target} HTTP/1.1"),
    "bad_target": with_line("{method} nowhere HTTP/1.1"),
    "bad_version": with_line("{method} {target} HTTP/one"),
    "unsupported_version": with_line("{method} {target} HTTP/2.0"),
    "request_line_too_long": with_line("{method} {target}?" + "x" * 9000 + " HTTP/1.1"),
    "fields_too_large": with_field("X: " + "x" * 17000),
    "too_many_fields": with_field("\r\n".join(["X: x"] * 101)),
    "bad_line_end": with_field("X: x\nY: y"),
    "empty_lines": lambda op: b"\r\n\r\n\r\n" + with_field("X: x")(op),
    "control_byte": with_field("X: \x01"),
    "folded_field": with_field("X: x\r\n y"),
    "space_in_field_name": with_field("X : x"),
    "bad_field_name": with_field("no colon"),
    "repeated_field": with_field("Content-Type: a/b\r\nContent-Type: a/b"),
    "missing_host": lambda op: framed(f"{op.method} {op.target()} HTTP/1.1", "X: x"),
    "repeated_host": with_field("Host: localhost"),
    "bad_host": lambda op: framed(f"{op.method} {op.target()} HTTP/1.1", "Host: a b"),
    "bad_length": with_field("Content-Length: +1"),
    "repeated_length": with_field("Content-Length: 0\r\nContent-Length: 0"),
    "conflicting_length": with_field("Content-Length: 0\r\nTransfer-Encoding: chunked"),
    "unknown_transfer_coding": with_field("Transfer-Encoding: gzip"),
    "unknown_expectation": with_field("Content-Length: 1\r\nExpect: wonders"),
    "body_too_large": with_field("Content-Length: 5000"),
    "chunks_too_small": with_chunks(b"1;" + b"x" * 6000 + b"\r\n"),
    "bad_chunk": with_chunks(b"none\r\n"),
}
BEHIND_TIME = "request_timeout"


def check(operation, example, kind, response):
    """`response` is what is described, and the example."""
    assert operation.complaints(response) == [], response
    assert response.header("Content-Type").split(";")[0] == kind
    if isinstance(example, str):
        assert unlike_text(example, response.body.decode()) == [], response
    else:
        # Their sentences tell the place, and which of two limits it was; a close is at its own instant.
        free = ["detail"] if response.json.get("code") in ("bad_json", "busy") else []
        free += ["ends_at"] if operation.id == "closeEvent" else []
        assert unlike(example, response.json, free) == [], response


# What only cluster mode says: test_cluster_settings.py asks for it.
OF_A_CLUSTER = {"settings_wrong"}
FRAMED = [example for example in EXAMPLES if example[3] not in MALFORMED
          and example[3] != BEHIND_TIME and example[3] not in OF_A_CLUSTER]


def way_to(operation, status, name):
    return WAYS.get((operation.id, name)) or WAYS.get((status, name))


@pytest.mark.parametrize("operation, status, kind, name, example", FRAMED,
                         ids=[f"{op.id}-{status}-{name}" for op, status, _, name, _ in FRAMED])
def test_an_example_is_what_the_server_says(servers, request, operation, status, kind, name, example):
    stage = Stage(Operation(operation.path, operation.method.lower()), servers, request)
    way = way_to(operation, status, name)
    assert way is not None, "nobody knows how it comes about: see WAYS"
    try:
        response = way(stage)
        assert response.status == status, response
        check(operation, example, kind, response)
    finally:
        stage.end()


def test_every_way_leads_to_an_example():
    used = {id(WAYS.get((op.id, name)) or WAYS.get((status, name)))
            for op, status, _, name, _ in FRAMED}
    assert {id(way) for way in WAYS.values()} == used
    names = {(op.id, name) for op, _, _, name, _ in FRAMED} | {
        (status, name) for _, status, _, name, _ in FRAMED}
    assert set(WAYS) <= names


@pytest.mark.parametrize("operation", OPERATIONS, ids=repr)
def test_what_cannot_be_framed(shared, operation):
    told = set()
    for op, status, kind, name, example in EXAMPLES:
        if op is not operation or name not in MALFORMED:
            continue
        door = shared.client if op.is_public else shared.admin_client
        with door() as client:
            client.send(MALFORMED[name](op))
            response = client.response()
            assert response.status == status, (name, response)
            check(op, example, kind, response)
        told.add(name)
    assert len(told) >= 7
    if operation.method == "GET":
        assert told == set(MALFORMED)


def test_a_request_that_does_not_arrive_whole(servers):
    server = servers.start("--header-timeout", "1s")
    late = [example for example in EXAMPLES if example[3] == BEHIND_TIME]
    assert len(late) == len(OPERATIONS)
    clients = []
    for op, *_ in late:
        door = server.client if op.is_public else server.admin_client
        clients.append(door())
        clients[-1].send(framed(f"{op.method} {op.target()} HTTP/1.1", "Host: localhost")[:-2])
    for client, (op, status, kind, _, example) in zip(clients, late):
        response = client.response()
        assert response.status == status
        check(op, example, kind, response)
        client.close()


def test_a_path_that_is_not_here(shared):
    node = DOCUMENT["components"]["responses"]["NotFound"]["content"]["application/problem+json"]
    response = shared.get("/nowhere")
    assert response.status == 404
    assert unlike(node["examples"]["not_found"]["value"], response.json) == []


@pytest.mark.parametrize("operation", [op for op in OPERATIONS if op.method == "GET"], ids=repr)
def test_head_is_answered_where_get_is(servers, request, operation):
    stage = Stage(operation, servers, request)
    stage.start()
    stage.create()
    head, full = stage.ask(method="HEAD"), stage.ask()
    assert (head.status, head.body) == (full.status, b"")
    names = [[name for name, _ in response.fields] for response in (full, head)]
    assert names[0] == names[1]


ORIGIN = "https://shop.example"
WITH_IT = [("X-Request-Id", "7f3a"), ("Origin", ORIGIN)]


@pytest.mark.parametrize("operation", OPERATIONS, ids=repr)
def test_what_goes_with_a_request_comes_back_as_described(servers, request, operation):
    stage = Stage(operation, servers, request)
    stage.start("--cors-origin", ORIGIN)
    response = stage.ask(fields=WITH_IT)
    assert operation.complaints(response) == [], response
    assert response.header("X-Request-Id") == "7f3a"
    is_api = operation.path.startswith("/api/")
    assert response.header("Access-Control-Allow-Origin") == (ORIGIN if is_api else None)
    assert (response.status == 204) == (operation.method == "OPTIONS")


def test_each_event_of_the_stream_is_a_snapshot(server):
    server.create(EVENT, 1000)
    server.claim(USER, EVENT)
    with Stream(server) as stream:
        told = [stream.snapshot() for _ in range(2)]
    assert told[0]["event"]["claims"]["issued"] == 1
    for snapshot in told:
        assert SNAPSHOT.complaints(snapshot) == []


# ---- Schemathesis ----

CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance",
          "response_headers_conformance", "response_schema_conformance", "unsupported_method",
          "allow_header_conformance", "negative_data_rejection", "ignored_auth"]
# A stream has no end, and each wrong token of a log-in is answered later than the one before.
DOORS = {"public": ["--exclude-path-regex", "^/(admin|metrics|console|$)", "--phases",
                    "examples,coverage,fuzzing"],
         "admin": ["--include-path-regex", "^/(admin|metrics|console|$)",
                   "--exclude-path-regex", "^/admin/v1/(stream|login)$"],
         "tokens": ["--include-path-regex", "^/api/"]}


@pytest.mark.parametrize("door", DOORS)
def test_what_schemathesis_makes_of_it(servers, tmp_path, door):
    tokens = Tokens(tmp_path) if door == "tokens" else None
    server = servers.start("--threads", "2", "--cors-origin", ORIGIN, tokens=tokens)
    server.create(EVENT, 1000)
    server.claim(USER, EVENT)
    url = "http://{}:{}".format(*(server.ready.admin if door == "admin" else server.ready.public))
    token = tokens.sign(USER) if tokens else server.token
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", str(PATH), "--url", url, *DOORS[door],
         "-H", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS),
         "--max-examples", str(count(15, 200)), "--seed", "1", "--no-color",
         "--generation-database", "none", "--request-timeout", "30"],
        capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr
    assert server.is_running() and server.get("/readyz").status == 200
    json.loads(server.get(status_path(EVENT)).body)
