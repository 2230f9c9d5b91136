# SPDX-License-Identifier: Apache-2.0
"""The files that must not be lost, and not be seen by others."""
import os

import pytest

KEY = "code-1.key"


def refused(server, told):
    """Does not start: exit status 1 and one line that says why."""
    server.spawn()
    assert server.wait() == 1
    lines = server.stderr().splitlines()
    assert len(lines) == 1 and lines[0].startswith("coupond serve: ")
    assert told in lines[0]


def test_a_lost_key_is_not_made_anew(servers):
    """Under another key the coupons that were told would get other codes."""
    server = servers.start()
    server.create("EV", 10)
    code = server.claim("ada", "EV").json["coupon_id"]
    server.stop()
    key = server.data / KEY
    kept = key.read_bytes()
    key.unlink()
    refused(server, "has no key file: restore")
    assert not key.exists()
    key.write_bytes(kept)
    key.chmod(0o600)
    server.restart()
    assert server.claim("ada", "EV").json["coupon_id"] == code


@pytest.mark.parametrize("name", [KEY, "admin.token"])
def test_a_secret_that_others_may_read_is_refused(servers, name):
    server = servers.start()
    server.stop()
    os.chmod(server.data / name, 0o640)
    refused(server, "chmod 600")


@pytest.mark.parametrize("name, told", [(KEY, "64 hexadecimal digits"),
                                        ("admin.token", "one line of at least 16 characters")])
def test_a_secret_that_is_none_is_refused(servers, name, told):
    server = servers.start()
    server.stop()
    (server.data / name).write_bytes(b"")
    refused(server, told)


def test_a_lost_token_is_made_anew(servers):
    server = servers.start()
    server.stop()
    before = server.token
    (server.data / "admin.token").unlink()
    server.restart()
    assert server.token != before
    server.create("EV", 10)
    server.stop()
