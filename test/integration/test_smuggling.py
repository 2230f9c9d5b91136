# SPDX-License-Identifier: Apache-2.0
"""NGINX and what is behind it never read a request in two ways: nobody is given another's answer."""
import json

import h2
import pytest
from client import Closed, ISSUE, status_path
from gateway import ask, echoed
from malformed import MALFORMED, head
from smuggling import ATTACKS, BODY, H2_ATTACKS, HIDDEN, h2_fields


# ---- two readers, one meaning ----

def answers_until_the_end(client):
    answers = []
    try:
        while True:
            answers.append(client.response())
    except (Closed, ConnectionError):
        return [one for one in answers if one.status != 100]


@pytest.mark.parametrize("table", ["attacks", "malformed"])
def test_no_two_answers_for_one_request_and_none_for_somebody_else(gateway, seen, behind, table):
    """Each is sent with a good one behind it; then somebody else, over the same kept connection to the
    server behind, asks for something of their own."""
    rows = ATTACKS if table == "attacks" else [(name, data) for name, data, _ in MALFORMED]
    assert len(rows) >= 60
    for n, (name, data) in enumerate(rows):
        seen.clear()
        last = status_path(f"last-{n}")
        with gateway.client() as client:
            client.send(data + head(b"GET " + last.encode() + b" HTTP/1.1", b"Host: localhost",
                                    b"Connection: close"))
            client.end()
            answers = answers_until_the_end(client)
        told = [(one.json["target"], one.json["body"]) for one in answers if one.status == 200]
        asked = [(one.target, one.body.decode("latin-1")) for one in seen]
        assert told == asked, name
        assert len(asked) <= 2 and HIDDEN not in [target for target, _ in asked], (name, asked)
        assert all(one.status in (200, 400, 404, 405, 413, 505) for one in answers), (name, answers)
        used = {one.connection for one in seen}
        seen.clear()
        assert echoed(ask(gateway, status_path(f"victim-{n}"))) == status_path(f"victim-{n}"), name
        assert [one.target for one in seen] == [status_path(f"victim-{n}")], name
        assert used <= {seen[0].connection}, "over the same connection"
        assert behind.malformed == [], name


def test_nor_over_http_2(gateway, seen, behind):
    address = ("127.0.0.1", gateway.tls_port)
    answer, _ = h2.ask(address, h2_fields(("content-length", str(len(BODY)))), BODY)
    assert json.loads(answer) == {"target": ISSUE, "body": BODY}, "a good one"
    for n, (name, fields) in enumerate(H2_ATTACKS):
        seen.clear()
        answer, kinds = h2.ask(address, fields, BODY)
        asked = [(one.target, one.body.decode()) for one in seen]
        assert asked in ([], [(ISSUE, BODY)]), (name, asked)
        if asked:
            assert json.loads(answer) == {"target": ISSUE, "body": BODY}, name
        else:
            assert kinds[-1] == h2.RST_STREAM or json.loads(answer)["code"] == "bad_request", name
        seen.clear()
        assert echoed(ask(gateway, status_path(f"victim-{n}"))) == status_path(f"victim-{n}"), name
        assert len(seen) == 1 and behind.malformed == [], name
