# SPDX-License-Identifier: Apache-2.0
"""`coupond verify --mode cluster` on a whole deployment: what servers noted that they told, against the
log.
"""
import json
import shutil

import pytest
from harness import run, wait_until
from test_cluster import SECONDS, Deployment, ask

pytestmark = [pytest.mark.redis, pytest.mark.kafka, pytest.mark.mariadb]


class Proof:
    """Asks for the truth about a deployment, with a database that is at the log's begin."""

    def __init__(self, deployment, database):
        self.deployment, self.database = deployment, database

    @property
    def flags(self):
        return ["--mode", "cluster", "--recheck-after", "0", "--kafka", self.deployment.kafka.brokers,
                "--kafka-topic", self.deployment.topic, *self.database.flags("coupond_reader")]

    def verify(self, *words, status=0):
        return run("verify", *self.flags, *words, status=status)

    def report(self, *words):
        return json.loads(self.verify(*words, "--json", status=None).stdout)

    def findings(self, *words):
        return {one["check"]: one["evidence"] for one in self.report(*words)["findings"]}


@pytest.fixture
def proof(servers, redis_cluster, kafka, mariadb):
    mariadb.drop()
    mariadb.prepare()
    yield Proof(Deployment(servers, redis_cluster, kafka), mariadb)
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
    files = sorted(tmp_path.iterdir())
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
    assert "--audit is for --mode cluster" in run("serve", "--audit", "on", status=2).stderr
    assert "--audit is for --mode cluster" in run("verify", "--audit", server.log, status=2).stderr
    said = proof.verify("--audit", server.log, status=1).stderr
    assert "is no audit" in said
    assert "one of --history FILE and --audit FILE" in proof.verify("word", status=2).stderr
