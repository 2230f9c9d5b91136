# SPDX-License-Identifier: Apache-2.0
"""Processor time to load a journal: that of a server from its start to `ready`, with a journal of
many issued coupons less the same with an empty one; all its threads, user and system together."""
import statistics
import sys
import time

import harness
from harness import Coupond


def main():
    options = harness.arguments(__doc__, coupons=(1_000_000, "issued coupons in the journal"),
                                repeats=(5, "starts of each"))
    with harness.scratch() as folder:
        with Coupond(options.coupond, folder, name="full") as server:
            server.create("event", options.coupons)
            found = server.load("event", options.coupons, connections=512, pipeline=16)
            if found["outcomes"]["issued"] != options.coupons:
                raise SystemExit(f"{found['outcomes']['issued']:,} of {options.coupons:,} were issued")
        full, empty, wall = [], [], []
        for _ in range(options.repeats):
            seconds, elapsed = start_seconds(options, folder, "full")
            full.append(seconds)
            wall.append(elapsed)
            empty.append(start_seconds(options, folder, "empty")[0])
        size = sum(path.stat().st_size for path in (folder / "full").rglob("*") if path.is_file())
    cpu = [a - statistics.median(empty) for a in full]
    harness.report(
        "replay", options, ("coupons", "files, MiB", "CPU to ready, s", "empty, s", "the journal, s"),
        [(f"{options.coupons:,}", f"{size / 2**20:,.0f}", harness.middle_words(full, 2),
          harness.middle_words(empty, 2), harness.middle_words(cpu, 2))],
        [f"Median (lowest to highest) of {options.repeats} starts, the files in the page cache; from "
         f"start to ready {harness.middle_words(wall, 2)} s of time."])


def start_seconds(options, folder, name):
    """Processor seconds and seconds from start to ready."""
    start = time.monotonic()
    with Coupond(options.coupond, folder, name=name) as server:
        elapsed = time.monotonic() - start
        return harness.processor_seconds(server.process.pid), elapsed


if __name__ == "__main__":
    sys.exit(main())
