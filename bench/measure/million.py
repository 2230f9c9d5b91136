# SPDX-License-Identifier: Apache-2.0
"""The main job, timed: many users against 1,000 coupons over HTTP, every answer checked by the
generator and compared with the export. Ends with 1 when it was not exactly 1,000."""
import subprocess
import sys
import tempfile
import time

import harness
from harness import Coupond

STOCK = 1000


def main():
    options = harness.arguments(__doc__, users=(1_000_000, "distinct users"))
    with harness.scratch() as folder:
        with Coupond(options.coupond, folder) as server:
            server.create("million", STOCK)
            start = time.monotonic()
            found = server.load("million", options.users)
            seconds = time.monotonic() - start
            holders = exported(options.coupond, server)
        check = subprocess.run([options.coupond, "log", "check", str(server.data)],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    issued = found["outcomes"]["issued"]
    sold_out = found["outcomes"]["sold_out"] + found["outcomes"]["sold_out_final"]
    good = (holders == STOCK and issued == STOCK and sold_out == options.users - STOCK
            and found["export"]["equal"] and server.status == 0 and check.returncode == 0)
    harness.report(
        "million", options, ("users", "issued", "sold out", "in the export", "seconds", "answers/s"),
        [(f"{options.users:,}", f"{issued:,}", f"{sold_out:,}", f"{holders:,}", f"{seconds:.1f}",
          f"{found['requests_per_second']:,.0f}")],
        ["Server and generator share the machine; the time is that of the whole command, with its "
         "checks." if good else f"NOT GOOD: server ended with {server.status}, log check with "
         f"{check.returncode}: {check.stdout}"])
    return 0 if good else 1


def exported(program, server):
    with tempfile.TemporaryFile("w+") as out:
        subprocess.run([program, "event", "export", "million", "--format", "ndjson", "--admin",
                        server.admin, "--data-dir", str(server.data)], stdout=out, check=True)
        out.seek(0)
        return len({line for line in out if line.strip()})


if __name__ == "__main__":
    sys.exit(main())
