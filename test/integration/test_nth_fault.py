# SPDX-License-Identifier: Apache-2.0
"""The nth call of a kind fails, for each n of a life: the server goes on as if nothing were, or ends
with a word and status 1 (not started) or 70 (fail-stop); and nothing is lost that was told (I3, I8).
"""
import errno
import subprocess

import pytest
from client import ISSUE, Closed
from crowd import Told
from harness import COUPOND, ROOT, count, sanitizer_of
from lives import FAIL_STOP, NOT_STARTED, live, settle
from slow_disk import KINDS, SHORT, TORN

STOCK = 1200
EVERY = 1 << 20
ENDS = (0, NOT_STARTED, FAIL_STOP)

CODES = {
    "pwrite": (errno.EIO, errno.ENOSPC), "fallocate": (errno.ENOSPC, errno.EIO),
    "open": (errno.EMFILE, errno.EACCES, errno.EIO), "mmap": (errno.ENOMEM,),
    "truncate": (errno.EIO, errno.ENOSPC),
}


def new_server(servers, **options):
    return servers.new("--threads", "2", "--journal-segment", "64KiB", "--sqlite",
                       "coupons.sqlite", **options)


def some_of(dice, calls, usual):
    """Numbers of calls to fail: some, or with the full counts every one."""
    return sorted(dice.sample(range(1, calls + 1), min(calls, count(usual, EVERY))))


def calls_in_a_life(servers, disk, kind):
    server = new_server(servers, **disk.preload)
    disk.set(kind, calls=0)
    assert live(server, Told("EV", STOCK)) == 0
    return disk.calls(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_the_nth_call_fails(servers, disk, dice, kind):
    calls = calls_in_a_life(servers, disk, kind)
    assert calls > 0, "never called"
    for at in some_of(dice, calls, 5):
        code = dice.choice(CODES.get(kind, (errno.EIO,)))
        torn = dice.choice((0, TORN)) if kind == "pwrite" else 0
        print(f"{kind} {at} of {calls}: {errno.errorcode[code]}")
        server, told = new_server(servers, **disk.preload), Told("EV", STOCK)
        disk.fail(kind, at, times=1, code=code, torn=torn)
        assert live(server, told) in ENDS
        disk.heal()
        settle(server, [told])
        server.stop()


@pytest.mark.parametrize("kind", ["pwrite", "fdatasync", "fsync", "fallocate", "open", "pread"])
def test_an_interrupted_call_is_made_again(servers, disk, dice, kind):
    """A signal in the middle of a call is no failure; neither is a write of half of the bytes."""
    for at in some_of(dice, 12, 2):
        server, told = new_server(servers, **disk.preload), Told("EV", STOCK)
        disk.fail(kind, at, times=1, code=errno.EINTR)
        assert live(server, told) == 0
        disk.fail("pwrite", at, times=20, torn=SHORT)
        again = Told("again", STOCK)
        assert live(server, again) == 0
        disk.heal()
        settle(server, [told, again])
        server.stop()


@pytest.fixture(scope="module")
def short_memory(tmp_path_factory):
    if sanitizer_of(COUPOND):
        pytest.skip("a sanitizer has an allocator of its own")
    library = tmp_path_factory.mktemp("shim") / "short_memory.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o", str(library),
                    str(ROOT / "test" / "fake" / "short_memory.c"), "-ldl"], check=True)
    return library


def escaped(user):
    """A body that only the whole reader of JSON reads, with much to allocate."""
    more = ",".join(f'"{n}":[{n}]' for n in range(40))
    return f'{{"user_id":"\\u0061{user}","event_id":"EV",{more}}}'.encode()


def test_a_good_body_is_never_called_bad_for_want_of_memory(servers, dice, short_memory, tmp_path):
    counted = tmp_path / "count"

    def claims(environment, until):
        server = new_server(servers, preload=short_memory, environment=environment).start()
        server.create("EV", 1000)
        with server.client() as client:
            try:
                for n in range(until):
                    response = client.request("POST", ISSUE, escaped(f"u{n}"))
                    assert response.status in (200, 503), response
            except (Closed, ConnectionError):
                assert server.wait() == FAIL_STOP
                return
        server.stop()

    claims({"SHORT_MEMORY_COUNT": str(counted)}, 1)
    first = int(counted.read_text())
    claims({"SHORT_MEMORY_COUNT": str(counted)}, 101)
    calls = int(counted.read_text())
    assert calls - first > 100 * 80, "it is not read by jansson"
    for _ in range(count(6, 60)):
        at = dice.randrange(first, calls - 1000)
        print(f"allocation {at} of {calls}")
        claims({"SHORT_MEMORY": str(at)}, 101)


def test_the_nth_allocation_fails(servers, dice, short_memory, tmp_path):
    counted = tmp_path / "count"
    server = new_server(servers, preload=short_memory,
                        environment={"SHORT_MEMORY_COUNT": str(counted)})
    assert live(server, Told("EV", STOCK)) == 0
    calls = int(counted.read_text())
    at_start = 130
    assert calls > 2 * at_start
    later = [dice.randrange(1, calls) for _ in range(count(12, 400))]
    for at in [*range(1, 5), *some_of(dice, at_start, 9), *later]:
        print(f"allocation {at} of {calls}")
        told = Told("EV", STOCK)
        server = new_server(servers, preload=short_memory, environment={"SHORT_MEMORY": str(at)})
        assert live(server, told) in ENDS
        del server.environment["SHORT_MEMORY"]
        settle(server, [told])
        server.stop()
