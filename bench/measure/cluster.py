# SPDX-License-Identifier: Apache-2.0
"""`./run cluster` on this machine, everything on its processors at once, and against it:

a million users through NGINX, every answer checked and compared with the log; winners' latency from
request to PASS, which is acknowledged and read back, at a fixed rate and as one burst of 1,000; what
100,000 losers cost Redis and Kafka; and in turn with another pipeline (bench/peer: FastAPI, the same
Redis Cluster and brokers) the processor time of one answer, winning and losing, and with redis-benchmark,
running the same script on the same node, claims a second."""
import os
import pathlib
import re
import signal
import subprocess
import sys
import venv

import harness

REDIS_NODES = 6
EVENT = "sample_event"  # of 1,000 coupons; ./run cluster makes it


class Cluster:
    """What ./run cluster has started, until the end of the `with`."""

    def __init__(self, folder):
        self.data, self.log = folder / "cluster", folder / "cluster.log"
        self.port = harness.free_port()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [harness.ROOT / "run", "cluster", "--data-dir", self.data, "--port",
                 str(self.port)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def __enter__(self):
        try:
            harness.wait_until(lambda: "Ctrl-C ends" in self.log.read_text(), self.process, "the cluster",
                               self.log)
        except BaseException:
            self.__exit__()
            raise
        said = self.log.read_text()
        self.nginx = f"http://127.0.0.1:{self.port}"
        self.admin = re.search(r"administration: (http://\S+)", said)[1]
        ports = harness.json.loads((self.data / "ports.json").read_text())
        self.serve = [f"http://127.0.0.1:{ports[f'serve-{n}']}" for n in range(2)]
        self.consumers = [f"http://127.0.0.1:{ports[f'consume-{n}']}" for n in range(2)]
        self.redis = [ports[f"redis-{n}"] for n in range(REDIS_NODES)]
        self.kafka = ",".join(f"127.0.0.1:{ports[f'kafka-{n}']}" for n in range(3))
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGINT)
        self.process.wait(180)

    def secret(self, name):
        return (self.data / "secrets" / name).read_text().strip()

    def pid_of(self, port):
        """Of the server that listens there."""
        found = harness.run(["ss", "-Hltnp", f"sport = :{port}"])
        return int(re.search(r"pid=(\d+)", found)[1])

    def serve_pid(self):
        return self.pid_of(self.serve[0].rsplit(":", 1)[1])

    def create(self, program, event, stock):
        harness.run([program, "event", "create", event, "--stock", str(stock), "--reason", "measurement",
                     "--data-dir", str(self.data / "serve-0"), "--admin", self.admin])

    def load(self, program, url, event, users, **flags):
        return harness.load(program, url, event, users, admin=self.admin,
                            data_dir=str(self.data / "serve-0"), **flags)

    # -- Redis and Kafka --

    def redis_cli(self, port, *words):
        return harness.run(["redis-cli", "-p", str(port), "--user", "admin", "--no-auth-warning", "-a",
                            self.secret("redis-admin"), *words])

    def scripts_run(self):
        """On all nodes together; and outboxes looked at."""
        stats = [self.redis_cli(port, "INFO", "commandstats") for port in self.redis]
        return sum(int(calls) for text in stats
                   for calls in re.findall(r"cmdstat_(?:evalsha|eval|xrange|xtrim|hget):calls=(\d+)", text))

    def topic_end(self):
        return int(harness.run(["kcat", "-b", self.kafka, "-q", "-Q", "-t", "coupond:0:-1"])
                   .rsplit("offset", 1)[1])

    def install(self, keys, stock):
        """The state of an event that no server knows of, so that none looks after it; its node's port."""
        script = (harness.ROOT / "src" / "claim" / "install.lua").read_text()
        for port in self.redis:
            said = self.redis_cli(port, "EVAL", script, "6", *keys, "1", "1", str(stock), "0",
                                  "9000000000000", "1", "0", "0")
            if said.split() == ["1", "1"]:
                return port
        raise SystemExit(f"no node takes {keys[0]}")


class Peer:
    """bench/peer behind one worker of uvicorn."""

    def __init__(self, cluster, folder, cache_seconds):
        self.url = f"http://127.0.0.1:{harness.free_port()}"
        self.log = folder / "peer.log"
        environment = dict(os.environ, REDIS_NODES=",".join(f"127.0.0.1:{port}" for port in cluster.redis),
                           REDIS_PASSWORD=cluster.secret("redis-admin"), KAFKA=cluster.kafka, TOPIC="peer",
                           CACHE_SECONDS=str(cache_seconds))
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [peer_python(), "-m", "uvicorn", "--port", self.url.rsplit(":", 1)[1], "--loop", "uvloop",
                 "--http", "httptools", "--no-access-log", "app:app"],
                cwd=harness.ROOT / "bench" / "peer", env=environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)

    def __enter__(self):
        harness.wait_until(lambda: "startup complete" in self.log.read_text(), self.process, "the peer",
                           self.log)
        return self

    def __exit__(self, *_):
        harness.stop(self.process)

    def create(self, event, stock):
        harness.fetch(f"{self.url}/events/{event}/{stock}", body=b"{}")


def peer_python():
    return harness.ROOT / "build" / "bench-peer" / "bin" / "python"


def make_peer():
    folder = harness.ROOT / "build" / "bench-peer"
    if not peer_python().exists():
        venv.create(folder, with_pip=True)
    harness.run([peer_python(), "-m", "pip", "install", "-q", "-r",
                 harness.ROOT / "bench" / "peer" / "requirements.txt"])


# ---- the measurements ----

def million(cluster, options):
    harness.say(f"{options.users:,} users through NGINX")
    found = cluster.load(options.coupond, cluster.nginx, EVENT, options.users, connections=64, threads=1)
    outcomes = found["outcomes"]
    if outcomes["issued"] != 1000 or found["export"]["rows"] != 1000:
        raise SystemExit(f"not exactly 1,000 issued: {outcomes}, {found['export']}")
    if found["users_told"]["undecided"]:
        raise SystemExit(f"{found['users_told']['undecided']} users have no final answer: {outcomes}")
    return [("million users through NGINX", f"{found['seconds']:.1f} s, "
             f"{found['requests_per_second']:,.0f} answers/s"),
            ("issued, and in the log", f"{outcomes['issued']:,}, {found['export']['rows']:,}"),
            ("refused by the rate limits, sent again", f"{found['requests']['resent']:,}")]


def proof(cluster, options):
    """What servers told, Redis, the topic and the database, held against each other."""
    harness.say("verify")
    command = [options.coupond, "verify", "--config", str(cluster.data / "verify.conf")]
    for n in range(2):
        command += ["--audit", str(cluster.data / f"serve-{n}" / "audit.log")]
    said = harness.run(command).splitlines()[-1]
    lags = [harness.json.loads(harness.fetch(url + "/health"))["log"]["lag_records"]
            for url in cluster.consumers]
    return [("coupond verify; records not in MariaDB yet", f"{said.removeprefix('verified: ')}; {min(lags)}")]


def losers_leave_alone(cluster, options):
    harness.say("losers, and what Redis and Kafka notice")
    harness.wait_until(lambda: is_still(cluster), cluster.process, "quiet", cluster.log)
    scripts, end = cluster.scripts_run(), cluster.topic_end()
    harness.load(options.coupond, cluster.serve[0], EVENT, options.losers, verify_export=False)
    return [(f"{options.losers:,} losers: commands to Redis, records to Kafka",
             f"{cluster.scripts_run() - scripts}, {cluster.topic_end() - end}")]


def is_still(cluster):
    before = cluster.scripts_run()
    harness.time.sleep(2.5)
    return cluster.scripts_run() == before


def latency(cluster, options):
    harness.say(f"winners at {options.winner_rate:,} a second")
    users = int(options.winner_rate * options.seconds * 3)
    cluster.create(options.coupond, "steady", users)
    found = harness.load(options.coupond, cluster.serve[0], "steady", users, rate=options.winner_rate,
                         connections=32, threads=1, verify_export=False)
    steady = found["latency_us"]["issued"]
    bursts = []
    for n in range(options.pairs):
        cluster.create(options.coupond, f"burst_{n}", 1000)
        burst = harness.load(options.coupond, cluster.serve[0], f"burst_{n}", 1000, connections=64,
                             pipeline=16, threads=1, verify_export=False)
        if burst["outcomes"]["issued"] != 1000:
            raise SystemExit(f"a burst of 1,000: {burst['outcomes']}")
        bursts.append(burst["latency_us"]["issued"]["max"] / 1000)
    return [(f"request to PASS at {options.winner_rate:,} winners/s: p50, p99",
             f"{steady['p50'] / 1000:.1f} ms, {steady['p99'] / 1000:.1f} ms"),
            ("1,000 winners at once: the last has its PASS after", harness.middle_words(bursts, 1) + " ms")]


def cpu_each(pid, answers, run):
    """Microseconds of processor time of `pid` for each of `answers` while `run()` runs."""
    before = harness.processor_seconds(pid)
    run()
    return (harness.processor_seconds(pid) - before) / answers * 1e6


def processor_time(cluster, options, folder):
    """coupond and the peer in turn."""
    rows = []
    for name, is_losing, cache, depth in (
            ("losing", True, 0, 1), ("losing, the peer remembers for 1 s", True, 1, 1),
            ("losing, 16 requests deep", True, 0, 16),
            ("losing, 16 deep, the peer remembers", True, 1, 16), ("winning", False, 0, 1)):
        ours, theirs = [], []
        with Peer(cluster, folder, cache) as peer:
            for pair in range(options.pairs):
                event = f"cpu_{len(rows)}_{pair}"
                sides = [(cluster.serve[0], cluster.serve_pid(), ours, options.answers * (20 if is_losing else 2),
                          lambda stock, event=event: cluster.create(options.coupond, event, stock)),
                         (peer.url, peer.process.pid, theirs, options.answers,
                          lambda stock, event=event, peer=peer: peer.create(event, stock))]
                for url, pid, costs, answers, create in sides:
                    create(1 if is_losing else answers)
                    flags = dict(connections=64, threads=1, pipeline=depth, verify_export=False)
                    if is_losing:
                        harness.load(options.coupond, url, event, 200, **flags)
                    costs.append(cpu_each(pid, answers, lambda url=url, answers=answers, flags=flags:
                                          harness.load(options.coupond, url, event, answers, **flags)))
                harness.say(f"{name}, pair {pair + 1} of {options.pairs}: {ours[-1]:.1f} us an answer, "
                            f"the peer {theirs[-1]:.0f}")
        rows.append((f"processor us of one answer, {name}", harness.middle_words(ours, 1),
                     harness.middle_words(theirs), harness.ratio_words([b / a for a, b in zip(ours, theirs)], 0)))
    return rows


def claims(cluster, options):
    """All of them winners, so that none is answered from a view; the same script by redis-benchmark."""
    script = (harness.ROOT / "src" / "claim" / "claim.lua").read_text()
    ours, theirs = [], []
    for pair in range(options.pairs):
        event = f"claims_{pair}"
        cluster.create(options.coupond, event, options.claims)
        found = harness.load(options.coupond, cluster.serve[0], event, options.claims, connections=64,
                             pipeline=16, threads=1, verify_export=False)
        ours.append(found["requests_per_second"])
        keys = [f"coupon:{{bench_{event}}}:{letter}" for letter in "mufosb"]
        port = cluster.install(keys, 1_000_000)
        sha = cluster.redis_cli(port, "SCRIPT", "LOAD", script).strip()
        said = harness.run(["redis-benchmark", "-p", str(port), "--user", "admin", "-a",
                            cluster.secret("redis-admin"), "-c", "64", "-P", "16", "-n", str(options.claims),
                            "-r", "1000000000", "-q", "EVALSHA", sha, "4", *keys[:4], "b__rand_int__", "c", "1"])
        theirs.append(float(re.findall(r"([\d.]+) requests per second", said)[-1]))
        harness.say(f"claims, pair {pair + 1} of {options.pairs}: {ours[-1]:,.0f}/s, redis-benchmark "
                    f"{theirs[-1]:,.0f}/s")
    return [("claims/s that win, 64 connections x 16; redis-benchmark", harness.middle_words(ours),
             harness.middle_words(theirs), harness.ratio_words([a / b for a, b in zip(ours, theirs)]))]


def main():
    options = harness.arguments(
        __doc__, users=(1_000_000, "users through NGINX"), losers=(100_000, "losers after that"),
        pairs=(3, "interleaved pairs"), seconds=(3.0, "a third of the length of the run at a fixed rate"),
        winner_rate=(200, "winners a second of that run"), answers=(5000, "of the peer in a run"),
        claims=(50_000, "claims of a run against redis-benchmark"), peer=(1, "0: without the other pipeline"))
    if options.peer:
        make_peer()
    with harness.scratch() as folder, Cluster(folder) as cluster:
        rows = million(cluster, options)
        rows += proof(cluster, options)
        rows += losers_leave_alone(cluster, options)
        rows += latency(cluster, options)
        beside = claims(cluster, options)
        if options.peer:
            beside += processor_time(cluster, options, folder)
    harness.report(
        "cluster", options, ("on ./run cluster", "figure"), rows,
        harness.table(("", "coupond", "beside", "ratio"), beside) +
        ["", f"Median (lowest to highest) of {options.pairs} interleaved pairs, 64 connections; everything "
         "shares the machine: Redis x 6, Kafka x 3, MariaDB x 2, serve x 2, consume x 2, NGINX, the generator."])


if __name__ == "__main__":
    sys.exit(main())
