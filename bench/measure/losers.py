# SPDX-License-Identifier: Apache-2.0
"""Losers per second: the full decision "sold out" for users never seen before, against nginx that
returns the same bytes as a constant, each server on processor 0, the same generator on processor 1.

Each variant of the server is measured by itself, beside nginx that is sent the same requests: plain,
jwt, where users are asked for tokens and losers send theirs, too, and limits, with the rate limits on.

The rates need a machine that does nothing else. The processor time of the server for each answer is
shown beside them: what is left of the figure when others use the machine too. With tokens that is the
figure to look at: the generator signs one for each request, and is then the slower side."""
import contextlib
import json
import sys

import harness
from harness import Coupond, Nginx

EVENT = "sold_event"
USERS = 100_000  # of the first, short run that tells how many make a full one


def plain(_folder):
    return (), {}


def limits(_folder):
    """By address and by user, high enough that nobody is refused: all of the work, none of the effect."""
    return ("--limit-loopback", "--limit-address-rate", "1000000", "--limit-address-burst", "1000000",
            "--limit-user-rate", "100", "--limit-user-burst", "1000"), {}


def jwt(folder):
    keys = folder / "keys.json"
    secret = "YSBzZWNyZXQgdGhhdCBpcyBrbm93biB0byBldmVyeWJvZHk"  # of at least 32 bytes
    keys.write_text(json.dumps({"keys": [{"kty": "oct", "alg": "HS256", "k": secret}]}))
    keys.chmod(0o600)
    return ("--auth", "jwt", "--jwt-keys", str(keys)), {"jwt_keys": str(keys)}


# Each makes, in a folder, the flags of a server and those of the generator that drives it.
VARIANTS = {"plain": plain, "jwt": jwt, "limits": limits}


def measure(server, depth, options, users, flags):
    """(answers a second, microseconds of the server's processor time for each)"""
    before = harness.processor_seconds(server.process.pid)
    found = harness.load(options.coupond, server.url, EVENT, users, cpu=1, verify_export=False,
                         connections=options.connections, pipeline=depth, threads=1, **flags)
    if found["outcomes"]["sold_out_final"] != users:
        raise SystemExit(f"not every one of {users:,} users lost: {found['outcomes']}")
    used = harness.processor_seconds(server.process.pid) - before
    return found["requests_per_second"], used / users * 1e6


def users_for(rate, options):
    return max(1000, min(20_000_000, int(rate * options.seconds)))


def main():
    options = harness.arguments(
        __doc__, pairs=(5, "interleaved pairs for each depth"), seconds=(3.0, "length of one run"),
        connections=(64, "connections"), depths=("1,16", "pipeline depths"),
        variants=(",".join(VARIANTS), "variants of the server"))
    rows = []
    for name in options.variants.split(","):
        if name not in VARIANTS:
            raise SystemExit(f"there is no variant {name}: {', '.join(VARIANTS)}")
        with harness.scratch() as folder:
            measured, body = measure_variant(name, folder, options)
            rows += measured
    harness.report(
        "losers", options, ("variant", "depth", "", "coupond", "nginx", "coupond is better by"), rows,
        [f"Median (lowest to highest) of {options.pairs} interleaved pairs, {options.connections} "
         f"connections, unique users, the same body of {len(body)} bytes."],
        [("nginx", harness.first_line(harness.nginx_program(), "-v"))])


def measure_variant(name, folder, options):
    serve_flags, load_flags = VARIANTS[name](folder)
    rows = []
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(Coupond(options.coupond, folder, "--threads", "1", *serve_flags,
                                           cpu=0))
        ours.sell_out(EVENT, **load_flags)
        body = harness.claim(ours.url, EVENT, "somebody_else")
        status = harness.fetch(f"{ours.url}/api/v1/coupons/status/{EVENT}")
        theirs = stack.enter_context(Nginx(folder, body, status, cpu=0))
        for depth in map(int, options.depths.split(",")):
            for row in measure_depth(name, depth, (ours, theirs), options, load_flags):
                rows.append((name, *row))
    return rows, body


def measure_depth(name, depth, sides, options, flags):
    counts = [users_for(measure(server, depth, options, USERS, flags)[0], options)
              for server in sides]
    rates, costs = [[], []], [[], []]
    for pair in range(options.pairs):
        order = (0, 1) if pair % 2 == 0 else (1, 0)
        for i in order:
            rate, cost = measure(sides[i], depth, options, counts[i], flags)
            rates[i].append(rate)
            costs[i].append(cost)
        harness.say(f"{name}, depth {depth}, pair {pair + 1} of {options.pairs}: coupond "
                    f"{rates[0][-1]:,.0f}/s, {costs[0][-1]:.2f} us, nginx {rates[1][-1]:,.0f}/s, "
                    f"{costs[1][-1]:.2f} us")
    return [(str(depth), "answers/s", harness.middle_words(rates[0]), harness.middle_words(rates[1]),
             harness.ratio_words([a / b for a, b in zip(rates[0], rates[1])])),
            (str(depth), "processor us each", harness.middle_words(costs[0], 2),
             harness.middle_words(costs[1], 2),
             harness.ratio_words([b / a for a, b in zip(costs[0], costs[1])]))]


if __name__ == "__main__":
    sys.exit(main())
