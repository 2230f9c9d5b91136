# SPDX-License-Identifier: Apache-2.0
"""A whole deployment, whose parts are lost one by one: servers, Redis, Kafka, a database and its consumer.

    Lost        the deployment, and `coupond verify` and `--rebuild` on it
    Keeper      who was told what, for ever
"""
import shutil
import subprocess

from consume import Consumer, Topic, place_of
from deployment import SECONDS, Deployment, ask
from harness import run, wait_until
from redis_cluster import PASSWORDS

REBUILD_SECONDS = 90


class Keeper:
    """What users were told: the same for ever."""

    def __init__(self, event, stock):
        self.event, self.stock, self.coupons = event, stock, {}

    def hear(self, user, response):
        assert response.json["success"] is True, response.json
        coupon = response.json["serial"], response.json["coupon_id"]
        assert self.coupons.setdefault(user, coupon) == coupon, user

    def claim(self, server, *users):
        for user in users:
            self.hear(user, ask(server, user, self.event))

    def hold(self, server):
        """Everybody who was told asks again and hears the same."""
        for user, coupon in self.coupons.items():
            response = ask(server, user, self.event)
            assert (response.json["serial"], response.json["coupon_id"]) == coupon, (user, response.json)
            assert response.json["result"] == "already_issued"

    def sell_out(self, server, barred=0, prefix="rest"):
        """Exactly all are issued, and then no more."""
        left = self.stock - len(self.coupons) - barred
        for n in range(left):
            self.hear(f"{prefix}-{n}", ask(server, f"{prefix}-{n}", self.event))
        assert ask(server, f"{prefix}-late", self.event).result == "sold_out"
        serials = sorted(serial for serial, _ in self.coupons.values())
        assert len(set(serials)) == len(serials)
        codes = {code for _, code in self.coupons.values()}
        assert len(codes) == len(self.coupons)
        return serials


class Lost:
    """One deployment with a database."""

    def __init__(self, servers, redis, kafka, database, folder):
        self.deployment = Deployment(servers, redis, kafka)
        self.event, self.redis, self.kafka, self.database = self.deployment.event, redis, kafka, database
        self.folder = folder
        self.topic = Topic(kafka.brokers, folder, kafka.replicas, kafka.in_sync)
        self.topic.name = self.deployment.topic
        self.consumers = []
        self.password = folder / "redis.password"
        self.password.touch(0o600)
        self.password.write_text(PASSWORDS["coupond"] + "\n")

    def start(self, *flags, **options):
        return self.deployment.start(*flags, **options)

    @property
    def keys(self):
        return self.deployment.made[0].data

    def consume(self):
        """A consumer that has the servers' key."""
        consumer = Consumer(self.folder / f"consumer-{len(self.consumers)}", self.topic, self.database)
        for key in self.keys.glob("*.key"):
            shutil.copy(key, consumer.folder / "keys" / key.name)
        self.consumers.append(consumer)
        return consumer.start()

    def end_of_log(self):
        done = subprocess.run(["kcat", "-b", self.kafka.brokers, "-q", "-Q", "-t", f"{self.topic.name}:0:-1"],
                              capture_output=True, text=True, check=True, timeout=SECONDS)
        return int(done.stdout.rsplit(" ", 1)[1])

    def await_recorded(self):
        wait_until(lambda: place_of(self.database) == self.end_of_log(), "all of it in the database", SECONDS)

    def stop_servers(self):
        for server in self.deployment.made:
            if server.is_running():
                server.stop()

    def flush_redis(self):
        for node in self.redis.nodes:
            if node.is_master():
                node("FLUSHALL")

    # -- the program --

    def flags(self, user, redis=True):
        flags = ["--mode", "cluster", "--data-dir", str(self.keys), *self.topic.flags, *self.database.flags(user)]
        if redis:
            flags += ["--redis", self.redis.seeds, "--redis-user", "coupond",
                      "--redis-password-file", str(self.password)]
        return flags

    def rebuild(self, what, *words, status=0, user="coupond_schema", redis=True):
        return run("verify", *self.flags(user, redis), "--rebuild", what, "--recheck-after", "100ms", *words,
                   status=status)

    def refused(self, what, *words, **options):
        return self.rebuild(what, *words, status=1, **options).stderr

    def verify(self, *words):
        """Everything agrees."""
        said = run("verify", *self.flags("coupond_reader"), "--recheck-after", "1s", *words, status=None)
        assert said.returncode == 0, said.stdout + said.stderr
        return said.stdout

    @property
    def audits(self):
        return [server.data / "audit.log" for server in self.deployment.made]

    def end(self):
        for consumer in self.consumers:
            consumer.end()
