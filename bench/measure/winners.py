# SPDX-License-Identifier: Apache-2.0
"""Winners per second with many waiting, against the same server on the same disk with one claim
under way at a time (one write and one fdatasync for each); and what a loser notices of winners:
its median latency at a fixed rate, with winners committing beside it and with the same traffic
beside it that wins nothing."""
import os
import subprocess
import sys
import time

import harness
from harness import Coupond


def main():
    options = harness.arguments(
        __doc__, pairs=(5, "interleaved pairs"),
        shapes=("64x1,4x16,64x16,64x64", "connections x claims under way on each"),
        winners=(100_000, "winners of a run with many waiting"),
        alone=(2000, "winners of a run with one at a time"), loser_rate=(4000, "losers a second"),
        winner_rates=("500,1000,2000", "winners a second beside them"), seconds=(3.0, "length of a latency run"))
    with harness.scratch() as folder, Coupond(options.coupond, folder) as server:
        rates = [winners(options, server, *map(int, shape.split("x")))
                 for shape in options.shapes.split(",")]
        syncs = [syncs_per_second(folder) for _ in range(options.pairs)]
        server.sell_out("gone")
        latencies = [losers(options, server, int(rate))
                     for rate in options.winner_rates.split(",")]
    harness.report(
        "winners", options, ("winners waiting", "connections x depth", "winners/s", "one at a time, winners/s", "ratio"), rates,
        [f"Median (lowest to highest) of {options.pairs} interleaved pairs. A bare loop of a 4 KiB "
         f"write and fdatasync on this disk: {harness.middle_words(syncs)} a second.", "",
         f"A loser's median latency at {options.loser_rate:,} a second, in us, with claims at a fixed "
         "rate beside it that win, or that win nothing:", "",
         *harness.table(("claims/s beside", "winning", "winning nothing", "ratio"), latencies)])


def winners(options, server, connections, depth):
    many, alone = [], []
    shape = f"{connections}x{depth}"
    for pair in range(options.pairs):
        many.append(win(server, f"many_{shape}_{pair}", options.winners, connections, depth))
        alone.append(win(server, f"alone_{shape}_{pair}", options.alone, 1, 1))
        harness.say(f"{shape} waiting, pair {pair + 1} of {options.pairs}: {many[-1]:,.0f}/s, "
                    f"one at a time {alone[-1]:,.0f}/s, ratio {many[-1] / alone[-1]:.1f}")
    ratios = [a / b for a, b in zip(many, alone)]
    return (f"{connections * depth:,}", shape, harness.middle_words(many),
            harness.middle_words(alone), harness.ratio_words(ratios, 1))


def win(server, event, users, connections, depth):
    """The rate at which `users` users win, each one of them; one generator thread."""
    server.create(event, users)
    found = server.load(event, users, connections=connections, pipeline=depth, threads=1)
    if found["outcomes"]["issued"] != users:
        raise SystemExit(f"{event}: {found['outcomes']['issued']} of {users} won")
    return found["requests_per_second"]


def syncs_per_second(folder, seconds=1.0):
    """What the disk gives to a program that writes 4 KiB in place and syncs, again and again."""
    path = folder / "sync"
    block = bytes(4096)
    with open(path, "wb", buffering=0) as file:
        file.write(bytes(1 << 22))
        os.fdatasync(file.fileno())
        count, start = 0, time.monotonic()
        while time.monotonic() - start < seconds:
            os.pwrite(file.fileno(), block, count % 1024 * 4096)
            os.fdatasync(file.fileno())
            count += 1
        elapsed = time.monotonic() - start
    path.unlink()
    return count / elapsed


def losers(options, server, winner_rate):
    with_winners, without = [], []
    for pair in range(options.pairs):
        beside = f"beside_{winner_rate}_{pair}"
        server.create(beside, int(winner_rate * options.seconds * 3))
        with_winners.append(loser_latency(options, server, beside, winner_rate))
        without.append(loser_latency(options, server, "gone", winner_rate))
        harness.say(f"losers, pair {pair + 1} of {options.pairs}: {with_winners[-1]:.0f} us with "
                    f"{winner_rate:,} winners a second, {without[-1]:.0f} us without")
    ratios = [a / b for a, b in zip(with_winners, without)]
    return (f"{winner_rate:,}", harness.middle_words(with_winners), harness.middle_words(without),
            harness.ratio_words(ratios))


def loser_latency(options, server, beside, rate):
    """The median in us of losers of "gone", with claims for `beside` at the same time."""
    flags = dict(verify_export=False, connections=32, threads=1)
    other = subprocess.Popen(
        harness.load_command(server.program, server.url, beside,
                             int(rate * (options.seconds + 1)), os.devnull,
                             rate=rate, **flags),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    try:
        found = server.load("gone", int(options.loser_rate * options.seconds), connections=32,
                            threads=1, rate=options.loser_rate, verify_export=False)
    finally:
        status = other.wait(60)
    if status != 0:
        raise SystemExit(f"the load on {beside} ended with {status}")
    return found["latency_us"]["others"]["p50"]


if __name__ == "__main__":
    sys.exit(main())
