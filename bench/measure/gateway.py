# SPDX-License-Identifier: Apache-2.0
"""What the gateway costs: losers per second through NGINX with the files of deploy/nginx, and without
it, in turn. NGINX (one worker) and coupond share processor 0, the generator has processor 1.

Everybody is one address here, so the rates of both are raised to where they refuse nobody; the limits
are counted all the same. The processor time of both servers for each answer is shown beside the rates:
what is left of the figures when others use the machine too."""
import contextlib
import shutil
import subprocess
import sys

import harness
from harness import Coupond

EVENT = "sold_event"
USERS = 20_000  # of the first, short run that tells how many make a full one
ENOUGH = 1_000_000
FLAGS = ["--threads", "1", "--trusted-proxies", "127.0.0.1", "--limit-address-rate", str(ENOUGH),
         "--limit-address-burst", str(ENOUGH)]


class Gateway:
    """NGINX with a copy of deploy/nginx, in front of `server`."""

    def __init__(self, folder, server, cpu):
        self.folder, self.log = folder / "gateway", folder / "gateway.log"
        shutil.copytree(harness.ROOT / "deploy" / "nginx", self.folder)
        port, tls_port = harness.free_port(), harness.free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.change("coupond/servers.conf", "127.0.0.1:8080", server.url.removeprefix("http://"))
        self.change("coupond/listen.conf", "listen 80 ", f"listen 127.0.0.1:{port} ")
        self.change("coupond/listen.conf", "listen 443 ", f"listen 127.0.0.1:{tls_port} ")
        self.change("coupond.conf", "rate=1000r/s", f"rate={100 * ENOUGH}r/s")
        self.change("coupond.conf", "rate=100000r/s", f"rate={100 * ENOUGH}r/s")
        self.change("nginx.conf", "worker_processes auto", "worker_processes 1")
        harness.run([self.folder / "make-certificate", self.folder / "coupond"])
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [harness.nginx_program(), "-p", str(self.folder), "-c", "nginx.conf"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=harness.pinned(cpu))
        harness.wait_until(self.is_ready, self.process, "nginx", self.log)

    def change(self, name, old, new):
        path = self.folder / name
        text = path.read_text()
        if old not in text:
            raise SystemExit(f"deploy/nginx/{name} has no {old!r}")
        path.write_text(text.replace(old, new))

    def is_ready(self):
        with contextlib.suppress(OSError):
            return harness.fetch(self.url + "/livez") is not None
        return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        harness.stop(self.process)


def measure(url, servers, depth, options, users):
    """(answers a second, microseconds of processor time for each, one figure a server)"""
    before = [harness.processor_seconds(server.process.pid) for server in servers]
    found = harness.load(options.coupond, url, EVENT, users, cpu=1, verify_export=False,
                         connections=options.connections, pipeline=depth, threads=1)
    if found["outcomes"]["sold_out_final"] != users:
        raise SystemExit(f"not every one of {users:,} users lost: {found['outcomes']}")
    costs = [(harness.processor_seconds(server.process.pid) - start) / users * 1e6
             for server, start in zip(servers, before)]
    return found["requests_per_second"], costs


def measure_depth(server, gateway, depth, options):
    """Rows of the report."""
    sides = [(server.url, [server]), (gateway.url, [server, gateway])]
    counts = [max(1000, int(measure(*side, depth, options, USERS)[0] * options.seconds))
              for side in sides]
    rates, costs = [[], []], [[], []]
    for pair in range(options.pairs):
        for i in ((0, 1) if pair % 2 == 0 else (1, 0)):
            rate, cost = measure(*sides[i], depth, options, counts[i])
            rates[i].append(rate)
            costs[i].append(cost)
        harness.say(f"depth {depth}, pair {pair + 1} of {options.pairs}: direct {rates[0][-1]:,.0f}/s, "
                    f"through the gateway {rates[1][-1]:,.0f}/s")
    of_both = [[sum(cost) for cost in side] for side in costs]
    words = harness.middle_words
    return [(str(depth), "answers/s", words(rates[0]), words(rates[1]),
             harness.ratio_words([b / a for a, b in zip(*rates)])),
            (str(depth), "processor us each", words(of_both[0], 2), words(of_both[1], 2),
             harness.ratio_words([b / a for a, b in zip(*of_both)])),
            (str(depth), "of it NGINX's", "", words([cost[1] for cost in costs[1]], 2), "")]


def main():
    options = harness.arguments(
        __doc__, pairs=(5, "interleaved pairs for each depth"), seconds=(3.0, "length of one run"),
        connections=(64, "connections"), depths=("1,16", "pipeline depths"))
    rows = []
    with harness.scratch() as folder, contextlib.ExitStack() as stack:
        server = stack.enter_context(Coupond(options.coupond, folder, *FLAGS, cpu=0))
        server.sell_out(EVENT)
        gateway = stack.enter_context(Gateway(folder, server, cpu=0))
        for depth in map(int, options.depths.split(",")):
            rows += measure_depth(server, gateway, depth, options)
    harness.report(
        "gateway", options, ("depth", "", "direct", "through the gateway", "through / direct"), rows,
        [f"Median (lowest to highest) of {options.pairs} interleaved pairs, {options.connections} "
         "connections, unique users, HTTP/1.1 without TLS."],
        [("nginx", harness.first_line(harness.nginx_program(), "-v"))])


if __name__ == "__main__":
    sys.exit(main())
