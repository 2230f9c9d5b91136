# SPDX-License-Identifier: Apache-2.0
"""Servers in cluster mode that share one real Redis Cluster and one topic of a real Kafka, and what is to
be true of them together.

    Deployment       starts them
    ask              a patient client
    same_everywhere  what they all say of an event
    sell_out         everybody has a final answer, and what anybody was told holds
    die_at           a server ends at a named place
"""
import shutil
import uuid

import pytest
from client import Closed
from harness import wait_until
from redis_cluster import PASSWORDS

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


def die_at(deployment, place, step):
    """A server that dies in `step`."""
    server = deployment.start(environment={"COUPOND_FAILPOINT": place})
    with pytest.raises((Closed, OSError)):
        step(server)
        wait_until(lambda: not server.is_running(), f"the end at {place}")
        raise Closed()
    wait_until(lambda: not server.is_running(), f"the end at {place}")
