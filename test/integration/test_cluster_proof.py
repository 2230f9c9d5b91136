# SPDX-License-Identifier: Apache-2.0
"""`coupond verify --mode cluster` on a whole deployment: what servers noted that they told, and what Redis
has, against the log. Redis is damaged on purpose; whatever is broken is found by its check and by no
other.
"""
import json
import shutil
import types

import pytest
from consume import Consumer
from crowd import Crowd, Told
from deployment import SECONDS, Deployment, ask
from harness import ROOT, run, wait_until
from redis_cluster import PASSWORDS

pytestmark = [pytest.mark.redis, pytest.mark.kafka, pytest.mark.mariadb]


class Proof:
    """Asks for the truth about a deployment, with a database that is at the log's begin."""

    def __init__(self, deployment, database, folder):
        self.deployment, self.database = deployment, database
        self.password = folder / "redis.password"
        self.password.touch(0o600)
        self.password.write_text(PASSWORDS["coupond"] + "\n")

    @property
    def flags(self):
        return ["--mode", "cluster", "--recheck-after", "0", "--kafka", self.deployment.kafka.brokers,
                "--kafka-topic", self.deployment.topic, *self.database.flags("coupond_reader")]

    @property
    def redis(self):
        return ["--redis", self.deployment.redis.seeds, "--redis-user", "coupond",
                "--redis-password-file", str(self.password)]

    def verify(self, *words, status=0):
        return run("verify", *self.flags, *words, status=status)

    def report(self, *words):
        return json.loads(self.verify(*words, "--json", status=None).stdout)

    def findings(self, *words):
        return {one["check"]: one["evidence"] for one in self.report(*words)["findings"]}


@pytest.fixture
def proof(servers, redis_cluster, kafka, mariadb, tmp_path):
    mariadb.drop()
    mariadb.prepare()
    yield Proof(Deployment(servers, redis_cluster, kafka), mariadb, tmp_path)
    mariadb.drop()


def lines_of(path):
    return path.read_text().splitlines() if path.exists() else []


def metric(server, name):
    response = server.admin("GET", "/metrics")
    return next(float(line.split()[1]) for line in response.body.decode().splitlines()
                if line.startswith(f"{name} "))


# ---- what was told ----

def test_what_servers_told_is_in_the_log(proof):
    deployment = proof.deployment
    one, two = deployment.start(), deployment.start()
    one.create(deployment.event, 30)
    for n in range(40):
        ask((one, two)[n % 2], f"u-{n}", deployment.event)
    for n in range(30):
        ask((one, two)[(n + 1) % 2], f"u-{n}", deployment.event)
    one.event("return", deployment.event, "--user", "u-3", "--reason", "test")
    assert one.coupon_of("u-3", deployment.event) is None
    audits = [server.data / "audit.log" for server in (one, two)]
    for audit in audits:  # a network thread notes repeats that another one told
        wait_until(lambda audit=audit: len(lines_of(audit)) > 30, "all that was told")
    said = proof.verify("--audit", *audits)
    assert "R8   ok" in said.stdout and f"audit     {audits[1]}: " in said.stdout
    assert "R8   not checked" in proof.verify().stdout
    report = proof.report("--audit", audits[0])
    assert report["audits"] == [{"file": str(audits[0]), "told": len(lines_of(audits[0])) - 1}]
    assert "R8" in proof.report()["not_checked"] and "R8" not in report["not_checked"]
    one.kill()
    one.restart()
    assert one.claim("u-5", deployment.event).result == "already_issued"
    one.stop()
    assert any(line.endswith(" u-5") for line in lines_of(audits[0])[-1:])
    proof.verify("--audit", *audits)


def test_a_lie_is_found(proof, tmp_path):
    deployment = proof.deployment
    server = deployment.start()
    server.create(deployment.event, 3)
    ask(server, "ada", deployment.event)
    server.stop()
    audit = tmp_path / "audit.log"
    shutil.copy(server.data / "audit.log", audit)
    proof.verify("--audit", audit)
    seq, event, serial, user = lines_of(audit)[1].split()
    assert (event, serial, user) == (deployment.event, "1", "ada")
    for lie in (f"{seq} {event} 2 ada", f"{seq} {event} 1 eve", f"1 {event} 1 ada", f"{seq} other 1 ada"):
        shutil.copy(server.data / "audit.log", audit)
        with audit.open("a") as to:
            to.write(lie + "\n")
        found = proof.findings("--audit", audit)
        assert set(found) == {"R8"} and f"{audit}:3: " in found["R8"][0], found
        proof.verify("--audit", audit, status=1)


def test_a_full_disk_stops_no_answer(proof):
    deployment = proof.deployment
    server = deployment.start("--audit", "/dev/full")
    server.create(deployment.event, 3)
    assert ask(server, "ada", deployment.event).json["serial"] == 1
    wait_until(lambda: metric(server, "coupond_audit_failures_total") > 1, "a failure that is counted")
    assert "event=audit_not_written path=/dev/full" in server.stderr()
    assert ask(server, "bob", deployment.event).json["serial"] == 2
    assert ask(server, "cy", deployment.event).json["serial"] == 3
    assert ask(server, "dan", deployment.event).result == "sold_out"
    assert metric(server, "coupond_audit_lines_total") == 0


def test_files_of_an_audit_are_bounded(proof, tmp_path):
    deployment = proof.deployment
    server = deployment.start("--audit", str(tmp_path / "told"), "--audit-size", "4KiB")
    server.create(deployment.event, 1500)
    with server.client() as client:
        for n in range(1500):
            wait_until(lambda n=n: client.claim(f"u-{n}", deployment.event).status == 200,
                       f"an answer for u-{n}", SECONDS)
    server.stop()
    files = sorted(tmp_path.glob("told*"))
    assert [file.name for file in files] == ["told"] + [f"told.{n}" for n in range(1, 8)]
    assert all(file.stat().st_size <= 4096 for file in files)
    proof.verify("--audit", *files)


def test_without_an_audit(proof):
    deployment = proof.deployment
    server = deployment.start("--audit", "off")
    server.create(deployment.event, 3)
    ask(server, "ada", deployment.event)
    server.stop()
    assert not (server.data / "audit.log").exists()
    assert "--audit FILE is for --mode cluster" in run("serve", "--audit", "told", status=2).stderr
    assert "--audit is for --mode cluster" in run("verify", "--audit", server.log, status=2).stderr
    said = proof.verify("--audit", server.log, status=1).stderr
    assert "is no audit" in said
    assert "one of --history FILE and --audit FILE" in proof.verify("word", status=2).stderr


# ---- what Redis has ----

class Keys:
    """The four keys of an event, as the operator of Redis sees them."""

    def __init__(self, deployment):
        self.node = deployment.redis.master_of(deployment.key)
        self.names = {letter: f"coupon:{{{deployment.event}}}:{letter}" for letter in "mufo"}

    def __call__(self, command, letter, *words):
        return self.node(command, self.names[letter], *words)

    def number(self, field):
        return int(self("HGET", "m", field))

    def record(self, user):
        return self("HGET", "u", user)

    def swap(self, one, other):
        records = self.record(one), self.record(other)
        self("HSET", "u", one, records[1], other, records[0])

    def reserve(self, user, ms):
        """Hands out the next serial as nobody does, at an instant."""
        serial = self("HINCRBY", "m", "next", 1) - 1
        self("HSET", "u", user, f"{self.number('gen')} {serial} {ms} 99 c")

    def replace(self, letter, value):
        self("DEL", letter)
        self("SET", letter, value)


@pytest.fixture
def settled(proof):
    """(proof, keys) of an event with 10 coupons, of which 1 to 6 were handed out and 3 came back."""
    deployment = proof.deployment
    server = deployment.start()
    server.create(deployment.event, 10)
    for n in range(6):
        assert ask(server, f"u-{n}", deployment.event).json["serial"] == n + 1
    server.event("return", deployment.event, "--user", "u-2", "--reason", "test")
    return proof, Keys(deployment)


DAMAGES = {
    "a holder is gone": (lambda keys: keys("HDEL", "u", "u-1"), {"R2", "R4"}, "user u-1 has serial 2"),
    "holders are swapped": (lambda keys: keys.swap("u-0", "u-1"), {"R2"}, "and here 2"),
    "next is behind": (lambda keys: keys("HINCRBY", "m", "next", -1), {"R4"}, "next is 6"),
    "next is ahead": (lambda keys: keys("HINCRBY", "m", "next", 1), {"R4"}, "next is 8"),
    "a held serial is free": (lambda keys: keys("RPUSH", "f", 1), {"R4"}, "serial 1 is free, and held"),
    "a free one is gone": (lambda keys: keys("DEL", "f"), {"R4"}, "0 are free"),
    "a list became a text": (lambda keys: keys.replace("f", "x"), {"R4"}, "key f is of a wrong type"),
    "a record is none": (lambda keys: keys("HSET", "u", "u-1", "x"), {"R4"}, "is no record"),
    "a generation ahead": (lambda keys: keys("HINCRBY", "m", "gen", 5), {"R5"}, "is of gen"),
    "a version behind": (lambda keys: keys("HINCRBY", "m", "ver", -1), {"R5"}, "is of gen"),
    "too many coupons": (lambda keys: keys("HSET", "m", "n", 50), {"R5"}, "n is 50, by the log 10"),
    "another process": (lambda keys: keys("HSET", "m", "tok", "ab" * 40), {"R5"}, "another process"),
    "no state": (lambda keys: keys("DEL", "m"), {"R5"}, "nothing is here"),
    "a field is missing": (lambda keys: keys("HDEL", "m", "tl"), {"R5"}, "key m lacks"),
    "a key that ends": (lambda keys: keys("EXPIRE", "u", 1000), {"R7"}, "key u has an end"),
    "nobody wrote it": (lambda keys: keys.reserve("ghost", 1000), {"R3"}, "user ghost has reserved serial 7"),
}


def test_redis_agrees(settled):
    proof, _ = settled
    said = proof.verify(*proof.redis).stdout
    for check in ("R2", "R3", "R4", "R5", "R7"):
        assert f"{check}   ok" in said, said
    assert f"redis     {proof.deployment.redis.seeds}: 1 events, 6 entries" in said
    said = proof.verify().stdout
    for check in ("R2", "R3", "R5", "R7"):
        assert f"{check}   not checked" in said, said
    assert proof.report()["not_checked"] == ["R2", "R3", "R5", "R7", "R8"]
    assert proof.report(*proof.redis)["redis"]["entries"] == 6


def test_each_damage_is_found(settled):
    """One after the other, each undone by what was there before."""
    proof, keys = settled
    for name, (damage, checks, words) in DAMAGES.items():
        fields = {letter: keys("HGETALL", letter) for letter in "mu"}
        damage(keys)
        found = proof.findings(*proof.redis)
        assert set(found) == checks, (name, found)
        assert any(words in text for texts in found.values() for text in texts), (name, found)
        for letter in "mufo":
            keys("DEL", letter)
        for letter in "mu":
            keys("HSET", letter, *fields[letter])
        keys("RPUSH", "f", 3)
        assert proof.findings(*proof.redis) == {}, name


def test_what_others_must_not_change(settled):
    proof, keys = settled
    keys.node("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        found = proof.findings(*proof.redis)
        assert set(found) == {"R7"} and "allkeys-lru" in found["R7"][0]
    finally:
        keys.node("CONFIG", "SET", "maxmemory-policy", "noeviction")
    proof.deployment.kafka.configure_topic(proof.deployment.topic, min_insync_replicas=1)
    found = proof.findings(*proof.redis)
    assert set(found) == {"R7"} and "min.insync.replicas=1 and must have 2" in found["R7"][0]
    assert set(proof.findings()) == {"R7"}


def test_no_false_alarm_while_coupons_are_claimed(proof):
    deployment = proof.deployment
    one, two = deployment.start(), deployment.start()
    told = Told(deployment.event, 4000)
    one.create(told.event, told.stock)
    wait_until(lambda: two.claim("first", told.event).status == 200, "the event on the other server")
    crowds = [Crowd(server, told, [f"{name}-{n}" for n in range(1500)], threads=2, depth=4)
              for name, server in (("one", one), ("two", two))]
    for turn in range(4):
        one.event("restock", told.event, "--to", str(told.stock + turn + 1), "--reason", "test")
        said = proof.verify(*proof.redis, "--recheck-after", "1s", "--audit", one.data / "audit.log",
                            two.data / "audit.log", status=None)
        assert said.returncode == 0, said.stdout
    for each in crowds:
        each.wait()
    proof.verify(*proof.redis)


# ---- the consumer watches ----

@pytest.fixture
def watch(settled, tmp_path):
    """(settled, start): start(*flags) gives a consumer that verifies, too, all the time."""
    proof, keys = settled
    topic = types.SimpleNamespace(flags=["--kafka", proof.deployment.kafka.brokers, "--kafka-topic",
                                         proof.deployment.topic])
    made = []

    def start(*flags):
        folder = tmp_path / f"consumer-{len(made)}"
        consumer = Consumer(folder, topic, proof.database, "--verify-every", "200ms", *flags)
        made.append(consumer)
        for key in proof.deployment.made[0].data.glob("code-*.key"):
            shutil.copy(key, folder / "keys")
        return consumer.start()

    yield proof, keys, start
    for consumer in made:
        consumer.end()


def findings_of(consumer):
    return {check for check in ("R1", "R2", "R3", "R4", "R5", "R6", "R7", "R9", "R10", "R11")
            if consumer.metric(f'coupond_consume_verify_findings{{check="{check}"}}') > 0}


def test_a_consumer_watches_redis_and_the_topic(watch):
    """Each damage is found by its check within two passes, and forgotten when it is mended."""
    proof, keys, start = watch
    consumer = start(*proof.redis)
    wait_until(lambda: consumer.metric("coupond_consume_verify_passes_total") >= 2, "passes", SECONDS)
    assert findings_of(consumer) == set()
    for name in ("a holder is gone", "a held serial is free", "a generation ahead", "a key that ends",
                 "nobody wrote it"):
        damage, checks, _ = DAMAGES[name]
        fields = {letter: keys("HGETALL", letter) for letter in "mu"}
        damage(keys)
        wait_until(lambda: findings_of(consumer) == checks, name, SECONDS)
        assert consumer.health()["status"] == "degraded"
        for letter in "mufo":
            keys("DEL", letter)
        for letter in "mu":
            keys("HSET", letter, *fields[letter])
        keys("RPUSH", "f", 3)
        wait_until(lambda: findings_of(consumer) == set(), f"{name}, mended", SECONDS)
    proof.deployment.kafka.configure_topic(proof.deployment.topic, min_insync_replicas=1)
    wait_until(lambda: findings_of(consumer) == {"R7"}, "the topic", SECONDS)
    assert "min.insync.replicas=1 and must have 2" in consumer.stderr()
    assert consumer.metric("coupond_consume_verify_failures_total") == 0
    consumer.stop()


def test_a_consumer_that_cannot_ask_redis_goes_on(watch):
    """What it can compare it does; rows come as ever."""
    proof, _, start = watch
    consumer = start("--redis", "127.0.0.1:1", *proof.redis[2:])
    wait_until(lambda: consumer.metric("coupond_consume_verify_failures_total") > 0, "a failure", SECONDS)
    passes = consumer.metric("coupond_consume_verify_passes_total")
    wait_until(lambda: consumer.metric("coupond_consume_verify_passes_total") > passes, "a pass", SECONDS)
    assert "event=cannot_verify" in consumer.stderr() and "127.0.0.1:1" in consumer.stderr()
    assert findings_of(consumer) == set()
    wait_until(lambda: consumer.metric("coupond_consume_applied_offset") > 6 and
               consumer.metric("coupond_consume_lag_records") == 0, "rows", SECONDS)
    consumer.stop()


def test_what_is_recorded_is_told_without_a_server(watch):
    """An export is byte for byte the server's; a user is told the same coupon."""
    proof, _, start = watch
    deployment = proof.deployment
    server, event = deployment.made[0], deployment.event
    consumer = start()
    wait_until(lambda: consumer.metric("coupond_consume_applied_offset") > 6 and
               consumer.metric("coupond_consume_lag_records") == 0, "rows", SECONDS)

    def recorded(*words, status=0):
        return run("event", *words, "--from-database", *proof.database.flags("coupond_reader"), status=status)

    exports = {form: server.event("export", event, "--format", form).stdout for form in ("csv", "ndjson")}
    coupon = server.coupon_of("u-1", event)
    server.stop()
    for form, text in exports.items():
        done = recorded("export", event, "--format", form)
        assert done.stdout == text and text.count("u-") == 5, form
        assert f"topic {deployment.topic}, recorded up to offset" in done.stderr
    said = recorded("show", event, "--user", "u-1").stdout
    assert coupon["coupon_id"] in said and "serial   2\n" in said and coupon["issued_at"] in said
    assert "returned" in recorded("show", event, "--user", "u-2").stdout
    assert "has no coupon" in recorded("show", event, "--user", "nobody", status=1).stdout
    assert "no such event" in recorded("export", "NOWHERE", status=1).stderr
    assert "is for: export EVENT" in recorded("show", event, status=2).stderr
    assert "is for: export EVENT" in recorded("pause", event, status=2).stderr
    assert "no event id" in recorded("export", "no id", status=2).stderr
    assert "no user id" in recorded("show", event, "--user", "'", status=2).stderr
    assert "--database" in run("event", "export", event, "--from-database", status=2).stderr
    consumer.stop()


def test_a_large_event_is_looked_at_briefly(proof):
    """Its holders are not read by a consumer: their node has better things to do. Its state is."""
    deployment = proof.deployment
    keys = Keys(deployment)
    script = (ROOT / "src/claim/snapshot.lua").read_text()
    keys("HSET", "m", "gen", 1)
    keys("HSET", "u", *[word for n in range(5) for word in (f"u-{n}", f"1 {n + 1} 1 1 c")])
    names = list(keys.names.values())
    whole = keys.node("EVAL", script, 4, *names)
    assert len(whole[4]) == 10 and whole[5] == []
    assert keys.node("EVAL", script, 4, *names, "5")[3:] == whole[3:]
    brief = keys.node("EVAL", script, 4, *names, "4")
    assert brief[:2] == whole[:2] and brief[3:] == [whole[3], 5, 0]
    keys.node("DEL", *names)


def test_redis_cannot_be_asked(proof):
    server = proof.deployment.start()
    server.create(proof.deployment.event, 3)
    said = proof.verify("--redis", "127.0.0.1:1", "--timeout", "500ms", status=1).stderr
    assert "--redis 127.0.0.1:1: " in said
    assert "need each other" in proof.verify(*proof.redis[:4], status=2).stderr


# ---- repair ----

def repair(proof, *words, status=1):
    """What was done, one line each."""
    said = run("verify", *proof.flags[:2], *proof.flags[4:], "--recheck-after", "100ms", *proof.redis, "--repair",
               *words, status=status)
    return [line.split("repair    ")[1] for line in said.stdout.splitlines() if line.startswith("repair ")]


HEALED = ["a holder is gone", "holders are swapped", "next is behind", "a held serial is free", "a record is none",
          "too many coupons", "another process", "no state"]


def test_repair_heals(settled):
    """Beside a running server, to which nobody comes; and then somebody does."""
    proof, keys = settled
    event, gen = proof.deployment.event, keys.number("gen")
    assert repair(proof, status=0) == ["nothing to do"]
    for name in HEALED:
        damage, checks, _ = DAMAGES[name]
        damage(keys)
        assert set(proof.findings(*proof.redis)) == checks, name
        gen += 1
        assert repair(proof) == [f"{event}: fenced as gen {gen}, 5 holders installed"], name
        assert proof.findings(*proof.redis) == {}, name
        assert keys.number("gen") == gen
    server = proof.deployment.made[0]
    assert ask(server, "u-0", event).json["serial"] == 1
    assert ask(server, "new", event).json["serial"] == 3
    assert keys.number("gen") == gen  # it had nothing to recover
    proof.verify(*proof.redis, "--audit", server.data / "audit.log")


def test_repair_leaves_alone_what_is_not_its_own(settled):
    proof, keys = settled
    event = proof.deployment.event
    keys("EXPIRE", "u", 1000)
    keys.reserve("ghost", 1000)
    assert repair(proof) == ["nothing to do"]
    assert set(proof.findings(*proof.redis)) == {"R3", "R7"}
    keys("PERSIST", "u")
    keys("HDEL", "u", "ghost")
    keys("HINCRBY", "m", "next", -1)
    keys("HINCRBY", "m", "gen", 50)
    [said] = repair(proof)
    assert said.startswith(f"{event}: not repaired: Redis is at gen") and "another topic" in said
    keys("DEL", "m")
    assert "5 holders installed" in repair(proof)[0]
    keys.replace("f", "x")
    [said] = repair(proof)
    assert "fenced, not installed: key f is not ours" in said
    keys("DEL", "f")
    assert "5 holders installed" in repair(proof)[0]
    server = proof.deployment.made[0]
    server.event("close", event, "--reason", "test")
    keys("HDEL", "u", "u-0")
    assert repair(proof) == [f"{event}: refused: the event is closed, nobody asks Redis for it"]


def test_repair_without_what_it_needs(proof):
    assert "--redis" in run("verify", *proof.flags, "--repair", status=2).stderr
    assert "--redis" in run("verify", "--repair", status=2).stderr
    assert "second look" in proof.verify(*proof.redis, "--repair", status=2).stderr


def test_repair_under_load(proof):
    """Whoever is on the way when it happens claims again; nobody hears two things."""
    deployment = proof.deployment
    one, two = deployment.start(), deployment.start()
    told, keys = Told(deployment.event, 2000), Keys(deployment)
    one.create(told.event, told.stock)
    wait_until(lambda: two.claim("first", told.event).status == 200, "the event on the other server")
    told.hear("first", two.claim("first", told.event))
    crowds = [Crowd(server, told, [f"{name}-{n}" for n in range(900)], threads=2, depth=4)
              for name, server in (("one", one), ("two", two))]
    done = []
    for _ in range(3):  # a server that recovers it between two looks is as good
        keys("HDEL", "u", "first")
        done += repair(proof, status=None)
    assert any("fenced as gen" in line for line in done), done
    for each in crowds:
        each.wait()
    repair(proof, status=None)
    assert proof.findings(*proof.redis, "--audit", one.data / "audit.log", two.data / "audit.log") == {}
    told.check_against(one)
