# SPDX-License-Identifier: Apache-2.0
"""User-space instructions (callgrind) and system calls (strace) of one request on the sold-out path,
ours and nginx's. Each is the difference of two runs that differ only in the number of requests, so
that start and end do not count."""
import re
import sys

import harness
from harness import Coupond, Nginx

EVENT = "sold_event"


class Counter:
    """A tool around a server that prints one total when the server has ended."""

    def __init__(self, name, wrapper, pattern):
        self.name, self.wrapper, self.pattern = name, wrapper, pattern

    def total(self, text):
        return int(re.findall(self.pattern, text)[-1])


def counters(folder):
    return [
        Counter("instructions", ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"],
                r"Collected : (\d+)"),
        Counter("system calls", ["strace", "-f", "-c", "-o", str(folder / "strace")],
                r"(?m)^100\.00\s+\S+\s+(?:\d+\s+)?(\d+)\s+(?:\d+\s+)?total$"),
    ]


def drive(options, server, users, depth):
    harness.load(options.coupond, server.url, EVENT, users, connections=options.connections,
                 pipeline=depth, threads=1, verify_export=False)


def ours(options, folder, counter, users, depth):
    """The total of a server that opens an event, sells it out and then answers `users` losers."""
    with Coupond(options.coupond, folder, "--threads", "1", wrapper=counter.wrapper) as server:
        server.sell_out(EVENT)
        body = harness.claim(server.url, EVENT, "somebody_else")
        status = harness.fetch(f"{server.url}/api/v1/coupons/status/{EVENT}")
        drive(options, server, users, depth)
    return total(folder, counter, server), body, status


def theirs(options, folder, counter, users, depth, body, status):
    with Nginx(folder, body, status, wrapper=counter.wrapper, is_single=True) as server:
        drive(options, server, users, depth)
    return total(folder, counter, server)


def total(folder, counter, server):
    strace = folder / "strace"
    text = server.log.read_text(errors="replace")
    return counter.total(text + (strace.read_text() if strace.exists() else ""))


def main():
    options = harness.arguments(
        __doc__, few=(2000, "requests of the short run"), many=(12000, "requests of the long run"),
        connections=(32, "connections"), depths=("1,16", "pipeline depths"))
    rows = []
    for depth in map(int, options.depths.split(",")):
        for counter_index in (0, 1):
            rows.append(measure(options, depth, counter_index))
    harness.report(
        "instructions", options, ("per request", "depth", "coupond", "nginx", "ratio"), rows,
        [f"({options.many:,} requests - {options.few:,} requests) / {options.many - options.few:,}, "
         f"{options.connections} connections, one network thread, one worker."],
        [("nginx", harness.first_line(harness.nginx_program(), "-v")),
         ("valgrind", harness.first_line("valgrind", "--version")),
         ("strace", harness.first_line("strace", "--version"))])


def measure(options, depth, counter_index):
    found = {}
    for users in (options.few, options.many):
        with harness.scratch() as folder:
            counter = counters(folder)[counter_index]
            mine, body, status = ours(options, folder, counter, users, depth)
            found[users] = mine, theirs(options, folder, counter, users, depth, body, status)
        harness.say(f"depth {depth}, {users:,} requests: {counter.name} coupond {found[users][0]:,}, "
                    f"nginx {found[users][1]:,}")
    mine, nginx = ((found[options.many][i] - found[options.few][i]) / (options.many - options.few)
                   for i in (0, 1))
    digits = 0 if counter.name == "instructions" else 2
    return (counter.name, str(depth), f"{mine:,.{digits}f}", f"{nginx:,.{digits}f}",
            f"{mine / nginx:.3f}")


if __name__ == "__main__":
    sys.exit(main())
