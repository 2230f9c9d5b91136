# SPDX-License-Identifier: Apache-2.0
"""Servers in cluster mode, on a real Redis Cluster and three real brokers: the same meanings as on one
machine, whatever happens to Redis, to Kafka and to the servers.

`Crowd` remembers what everybody was told; `check` holds it against what servers say afterwards.
"""
import re
import shutil
import signal
import uuid

import pytest
from client import EVENTS, Closed, status_path
from crowd import Crowd, Told, crowd
from harness import ROOT, wait_until
from redis_cluster import PASSWORDS

pytestmark = [pytest.mark.redis, pytest.mark.kafka]

STOCK = 200
SECONDS = 60  # a failover on a loaded machine


class Deployment:
    """Servers that share a topic of their own, one Redis Cluster, and the key of codes."""

    def __init__(self, servers, redis, kafka):
        self.servers, self.redis, self.kafka = servers, redis, kafka
        self.topic = f"t-{uuid.uuid4().hex[:12]}"
        self.event = f"EV-{uuid.uuid4().hex[:12]}"
        self.key = f"coupon:{{{self.event}}}:m"
        self.made = []

    def start(self, *flags, **options):
        folder = self.servers.folder()
        password = folder / "redis.password"
        password.write_text(PASSWORDS["coupond"] + "\n")
        password.chmod(0o600)
        server = self.servers.new(
            "--mode", "cluster", "--threads", "2", "--redis", self.redis.seeds, "--redis-user", "coupond",
            "--redis-password-file", str(password), "--kafka", self.kafka.brokers,
            "--kafka-topic", self.topic, "--drain-timeout", "1s", *flags, folder=folder, **options)
        if self.made:
            server.data.mkdir(mode=0o700)
            for name in ("code-1.key", "admin.token"):
                shutil.copy(self.made[0].data / name, server.data / name)
        self.made.append(server)
        return server.start()


@pytest.fixture
def deployment(servers, redis_cluster, kafka):
    return Deployment(servers, redis_cluster, kafka)


def ask(server, user, event, seconds=SECONDS):
    """As a patient client does it: until there is a final answer."""
    said = []

    def has_answer():
        try:
            response = server.claim(user, event)
        except (Closed, OSError):
            return False
        said.append(response)
        return response.status == 200 and response.json.get("final", True) is not False

    wait_until(has_answer, f"an answer for {user}", seconds)
    return said[-1]


def same_everywhere(deployment, event):
    """Every server's export is the same, with serials 1 to N, each once."""
    def exports():
        return [[(row["serial"], row["user_id"], row["coupon_id"]) for row in server.export(event)]
                for server in deployment.made if server.is_running()]

    wait_until(lambda: len({str(rows) for rows in exports()}) == 1, "the same export everywhere")
    rows = exports()[0]
    assert len({serial for serial, _, _ in rows}) == len(rows)
    assert len({user for _, user, _ in rows}) == len(rows)
    return rows


def sell_out(deployment, told, prefix="rest"):
    """Everybody asks until the answer is final; then exactly all are issued."""
    servers = [server for server in deployment.made if server.is_running()]
    for n in range(told.stock + 20):
        response = ask(servers[n % len(servers)], f"{prefix}-{n}", told.event)
        told.hear(f"{prefix}-{n}", response)
    rows = same_everywhere(deployment, told.event)
    assert [serial for serial, _, _ in rows] == list(range(1, told.stock + 1))
    holders = {user: (serial, code) for serial, user, code in rows}
    for user, coupon in told.coupons.items():
        assert holders[user] == coupon, user
    told.check()


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


def test_reservations_that_are_wiped_come_back_from_the_log(deployment):
    server = deployment.start()
    told = Told(deployment.event, STOCK)
    server.create(told.event, STOCK)
    crowd(server, told, [f"u-{n}" for n in range(STOCK // 2)])
    deployment.redis.master_of(deployment.key)("FLUSHALL")
    sell_out(deployment, told)


def test_a_master_dies(deployment):
    one, two = deployment.start(), deployment.start()
    told = Told(deployment.event, STOCK)
    one.create(told.event, STOCK)
    ask(two, "u-0", told.event)
    work = Crowd(one, told, [f"u-{n}" for n in range(STOCK // 2)])
    master = deployment.redis.master_of(deployment.key)
    master.kill()
    work.wait()
    sell_out(deployment, told)
    master.start()
    deployment.redis.await_whole()


def test_a_master_that_comes_back_from_a_sleep_gives_nothing_twice(deployment):
    one, two = deployment.start(), deployment.start()
    told = Told(deployment.event, STOCK)
    one.create(told.event, STOCK)
    ask(two, "u-0", told.event)
    master = deployment.redis.master_of(deployment.key)
    replica = deployment.redis.replica_of(master)
    master.signal(signal.SIGSTOP)
    work = Crowd(one, told, [f"u-{n}" for n in range(STOCK // 2)])
    wait_until(lambda: replica.is_master(), "a failover", SECONDS)
    master.signal(signal.SIGCONT)
    work.wait()
    sell_out(deployment, told)
    deployment.redis.await_whole()


def test_no_broker_is_there(deployment):
    server = deployment.start()
    told = Told(deployment.event, 20)
    server.create(told.event, 20)
    told.hear("ada", ask(server, "ada", told.event))
    for node in deployment.kafka.nodes:
        node.freeze()
    try:
        response = server.claim("bob", told.event)
        assert response.status == 202 and response.header("Retry-After"), response
        assert response.json["success"] is None and response.json["result"] == "pending"
        assert server.claim("ada", told.event).result == "already_issued"
    finally:
        for node in deployment.kafka.nodes:
            node.thaw()
    deployment.kafka.await_all()
    told.hear("bob", ask(server, "bob", told.event))
    sell_out(deployment, told)


def places():
    """The named places of cluster mode; the relay's needs somebody who died before it."""
    texts = (path.read_text() for path in (ROOT / "src" / "claim").glob("cluster*.c"))
    return sorted(set(re.findall(r'FAILPOINT\("(\w+)"\)', "\n".join(texts))) - {"cluster_relaying"})


OF_CLAIMS = ["cluster_reserved", "cluster_published", "cluster_read"]


def die_at(deployment, place, step):
    """A server that dies in `step`."""
    server = deployment.start(environment={"COUPOND_FAILPOINT": place})
    with pytest.raises((Closed, OSError)):
        step(server)
        wait_until(lambda: not server.is_running(), f"the end at {place}")
        raise Closed()
    wait_until(lambda: not server.is_running(), f"the end at {place}")


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
