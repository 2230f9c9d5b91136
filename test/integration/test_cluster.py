# SPDX-License-Identifier: Apache-2.0
"""Servers in cluster mode, on a real Redis Cluster and three real brokers: the same meanings as on one
machine. What breaks beneath them is test_cluster_faults.py's.
"""
import re

import pytest
from client import EVENTS, status_path
from crowd import Crowd, Told
from deployment import SECONDS, ask, die_at, sell_out
from harness import ROOT, wait_until

pytestmark = [pytest.mark.redis, pytest.mark.kafka]

STOCK = 200


def test_one_server(deployment):
    server = deployment.start()
    event = deployment.event
    server.create(event, 3)
    first = server.claim("ada", event)
    assert first.result == "issued" and first.json["serial"] == 1, first
    again = server.claim("ada", event)
    assert again.result == "already_issued" and again.json["coupon_id"] == first.json["coupon_id"]
    assert server.claim("bob", event).json["serial"] == 2
    assert server.claim("cy", event).json["serial"] == 3
    over = ask(server, "dan", event)
    assert over.result == "sold_out" and over.json["final"] is True
    assert server.coupon_of("bob", event)["serial"] == 2
    assert server.coupon_of("dan", event) is None
    assert server.status_of(event)["status"] == "sold_out"


def test_a_restart_knows_all(deployment):
    server = deployment.start()
    event = deployment.event
    server.create(event, 3)
    coupon = server.claim("ada", event).json["coupon_id"]
    server.stop()
    server.restart()
    assert server.claim("ada", event).json["coupon_id"] == coupon
    assert ask(server, "bob", event).json["serial"] == 2


def test_two_servers_agree(deployment):
    one, two = deployment.start(), deployment.start()
    told = Told(deployment.event, STOCK)
    one.create(told.event, STOCK)
    wait_until(lambda: two.claim("ada", told.event).status == 200, "the event on the other server")
    told.hear("ada", two.claim("ada", told.event))
    crowds = [Crowd(server, told, [f"{name}-{n}" for n in range(STOCK)], threads=4, depth=8)
              for name, server in (("one", one), ("two", two))]
    for each in crowds:
        each.wait()
    sell_out(deployment, told)


def test_what_an_operator_does_is_in_force_everywhere(deployment):
    one, two = deployment.start(), deployment.start()
    event = deployment.event
    one.create(event, 1)
    assert ask(one, "ada", event).result == "issued"
    assert ask(two, "bob", event).result == "sold_out"

    def change(server, verb, **members):
        response = server.admin("POST", f"/admin/v1/events/{event}/{verb}",
                                dict(operator="ops", reason="test", **members))
        assert response.status == 200, response

    change(two, "restock", total_stock=2)
    wait_until(lambda: one.claim("bob", event).result in ("issued", "already_issued"), "a coupon for bob")
    change(one, "pause")
    wait_until(lambda: two.claim("cy", event).result == "paused", "a pause")
    change(two, "resume")
    change(one, "return", user_id="ada")
    wait_until(lambda: two.claim("cy", event).result in ("issued", "already_issued"), "a coupon for cy")
    assert two.coupon_of("cy", event)["serial"] == 1
    change(two, "close")
    wait_until(lambda: one.claim("dan", event).result == "ended", "the end")


def places():
    """The named places of cluster mode; the relay's needs somebody who died before it."""
    texts = (path.read_text() for path in (ROOT / "src" / "claim").glob("cluster*.c"))
    return sorted(set(re.findall(r'FAILPOINT\("(\w+)"\)', "\n".join(texts))) - {"cluster_relaying"})


OF_CLAIMS = ["cluster_reserved", "cluster_published", "cluster_read"]


def make_sure_of(server, told):
    """An event whose making was cut off is made again, unless it is there."""
    def is_there():
        server.admin("POST", EVENTS, {"event_id": told.event, "total_stock": told.stock})
        return server.get(status_path(told.event)).status == 200

    wait_until(is_there, "the event")


@pytest.mark.failpoints
@pytest.mark.parametrize("place", places())
def test_a_server_dies_there_and_another_finishes(deployment, place, crash_runs):
    one = deployment.start()
    told = Told(deployment.event, 20)
    if place in OF_CLAIMS:
        one.create(told.event, told.stock)
        told.hear("ada", ask(one, "ada", told.event))
        die_at(deployment, place, lambda server: server.claim("bob", told.event))
    else:
        die_at(deployment, place, lambda server: server.create(told.event, told.stock))
    crash_runs.add()
    if place in ("cluster_reserved", "cluster_published"):
        wait_until(lambda: one.coupon_of("bob", told.event) is not None, "bob's coupon")
    make_sure_of(one, told)
    sell_out(deployment, told)


@pytest.mark.failpoints
def test_who_finishes_dies_too(deployment, crash_runs):
    one = deployment.start()
    told = Told(deployment.event, 20)
    one.create(told.event, told.stock)
    one.stop()
    for place in ("cluster_reserved", "cluster_relaying"):
        die_at(deployment, place, lambda server: place == "cluster_relaying" or
               server.claim("bob", told.event))
        crash_runs.add()
    one.restart()
    wait_until(lambda: one.coupon_of("bob", told.event) is not None, "bob's coupon")
    sell_out(deployment, told)


@pytest.mark.parametrize("flags, said", [
    (["--redis", "127.0.0.1:1"], "--redis 127.0.0.1:1: no master answers"),
    (["--redis-user", "nobody"], "no master answers"),
    (["--kafka-replicas", "9"], "topic"),
    (["--redis-password-file", "/nowhere"], "--redis-password-file"),
])
def test_what_is_set_up_wrong_is_named(deployment, flags, said):
    server = deployment.start(*[])
    server.stop()
    server.flags += flags
    server.spawn()
    assert server.wait(SECONDS) in (1, 2)
    lines = [line for line in server.stderr().splitlines() if line.startswith("coupond serve:")]
    assert len(lines) == 1 and said in lines[0], server.stderr()


@pytest.mark.parametrize("setting, said", [
    ({"max_message_bytes": 100_000}, "max.message.bytes=100000 and must have 300000 or more"),
    ({"unclean_leader_election_enable": "true"}, "unclean.leader.election.enable=true and must have false"),
])
def test_a_topic_that_is_set_up_wrong_is_named(deployment, setting, said):
    server = deployment.start()
    server.stop()
    deployment.kafka.configure_topic(deployment.topic, **setting)
    server.spawn()
    assert server.wait(SECONDS) in (1, 2)
    lines = [line for line in server.stderr().splitlines() if line.startswith("coupond serve:")]
    assert len(lines) == 1 and said in lines[0], server.stderr()
