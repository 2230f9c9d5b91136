# SPDX-License-Identifier: Apache-2.0
"""claim.lua and install.lua on a real Redis Cluster: every reply, exactly N, and nothing half-written."""
import collections
import itertools
import time

import pytest
from harness import ROOT, count, wait_until
from redis_cluster import RedisError

pytestmark = pytest.mark.redis

FAR_MS = 10**14
KEYS = "mufosb"
numbers = itertools.count(1)


@pytest.fixture
def event():
    return f"event-{next(numbers)}"


def key(event, which):
    return f"coupon:{{{event}}}:{which}"


def keys(event):
    return [key(event, which) for which in KEYS]


def now_ms():
    return int(time.time() * 1000)


@pytest.fixture
def shard(redis_cluster, event):
    """The node that has the event."""
    return redis_cluster.master_of(key(event, "m"))


def dump(shard, event):
    """All that there is of the event."""
    return [contents(shard, one) for one in keys(event)]


def contents(shard, one):
    kind = shard("TYPE", one)
    words = {"hash": ["HGETALL", one], "list": ["LRANGE", one, 0, -1], "string": ["GET", one],
             "stream": ["XRANGE", one, "-", "+"], "none": ["EXISTS", one]}[kind]
    said = shard(*words)
    return kind, dict(zip(said[::2], said[1::2])) if kind == "hash" else said


# ---- claim.lua ----

def test_an_event_that_nobody_installed_is_not_made_up(drive, shard, event):
    assert drive.claim(event, "u")["code"] == "NO_STATE"
    assert [kind for kind, _ in dump(shard, event)] == ["none"] * 6


def test_win_then_have_then_sold_out(drive, shard, event):
    assert drive.install(event, gen=3, stock=2, ver=7)["code"] == "DONE"
    before = now_ms()
    won = drive.claim(event, "u1", gen=3, claim="my-claim")
    assert (won["code"], won["gen"], won["ver"], won["serial"], won["seq"], won["claim"]) == \
        ("WIN", 3, 7, 1, 1, "my-claim")
    assert before - 1000 <= won["ms"] <= now_ms() + 1000
    again = drive.claim(event, "u1", gen=3, claim="another")
    assert again["code"] == "HAVE"
    assert {**again, "line": 0, "code": 0, "reply": 0} == {**won, "line": 0, "code": 0, "reply": 0}
    assert drive.claim(event, "u2", gen=3)["serial"] == 2
    lost = drive.claim(event, "u3", gen=3)
    assert (lost["code"], lost["gen"], lost["ver"]) == ("SOLD_OUT", 3, 7)
    assert drive.claim(event, "u1", gen=3)["code"] == "HAVE", "before every other test of the event"
    assert shard("HGET", key(event, "m"), "next") == "3"


def test_a_loser_writes_nothing(drive, shard, event):
    drive.install(event, stock=0)
    before = dump(shard, event)
    assert drive.claim(event, "u")["code"] == "SOLD_OUT"
    assert dump(shard, event) == before


def test_an_event_before_its_start_says_how_long(drive, event):
    drive.install(event, starts=now_ms() + 60_000)
    early = drive.claim(event, "u")
    assert early["code"] == "NOT_STARTED" and 0 < early["opens_in_ms"] <= 61_000


def test_an_event_that_is_over(drive, event):
    drive.install(event, ends=now_ms() - 1)
    assert drive.claim(event, "u")["code"] == "ENDED"


@pytest.mark.parametrize("status, code", [(2, "PAUSED"), (3, "ENDED")])
def test_an_event_that_was_stopped(drive, event, status, code):
    drive.install(event, status=status, holders=[("u1", 1)])
    assert drive.claim(event, "u2")["code"] == code
    assert drive.claim(event, "u1")["code"] == "HAVE"


def test_a_node_behind_the_log_says_so_even_to_who_has_a_reservation(drive, event):
    drive.install(event, gen=1)
    assert drive.claim(event, "u", gen=1)["code"] == "WIN"
    assert drive.claim(event, "u", gen=2)["code"] == "STALE"
    assert drive.claim(event, "other", gen=2)["code"] == "STALE"
    assert drive.claim(event, "u", gen=0)["code"] == "HAVE", "an asker behind the node"


def test_another_process_than_the_installed_one_hands_out_nothing(drive, shard, event):
    drive.install(event, stock=2)
    assert drive.claim(event, "u1")["code"] == "WIN"
    shard("HSET", key(event, "m"), "tok", "0" * 80)
    before = dump(shard, event)
    assert drive.claim(event, "u2")["code"] == "FENCED"
    assert dump(shard, event) == before
    assert drive.claim(event, "u1")["code"] == "HAVE"
    drive.install(event, gen=2, stock=2, holders=[("u1", 1)])
    assert drive.claim(event, "u2", gen=2)["serial"] == 2


def test_a_user_who_gave_it_back_is_told_so(drive, event):
    drive.install(event, stock=5, holders=[("u1", 0), ("u2", 1), ("u3", 0)])
    assert drive.claim(event, "u1")["code"] == "RETURNED"
    assert drive.claim(event, "u4")["serial"] == 2


def test_time_never_goes_back(drive, shard, event):
    drive.install(event)
    future = now_ms() + 500_000
    shard("HSET", key(event, "m"), "tl", future)
    assert drive.claim(event, "u1")["ms"] == future
    drive.install(event, gen=2, ends=future)
    assert drive.claim(event, "u2", gen=2)["code"] == "ENDED", "the latch outlives an install"


def test_the_outbox_has_every_win_under_its_number(drive, shard, event):
    drive.install(event, gen=4, stock=3)
    won = [drive.claim(event, f"u{i}", gen=4) for i in range(3)]
    entries = shard("XRANGE", key(event, "o"), "-", "+")
    assert [entry[0] for entry in entries] == ["4-1", "4-2", "4-3"]
    assert [entry[1] for entry in entries] == \
        [["u", f"u{i}", "r", answer["reply"][3]] for i, answer in enumerate(won)]


def test_an_outbox_of_a_wrong_type_stops_a_win_before_its_first_write(drive, shard, event):
    drive.install(event, stock=3, holders=[("u1", 2)])
    shard("SET", key(event, "o"), "foreign")
    before = dump(shard, event)
    refused = drive.claim(event, "u2")
    assert refused["end"] == "REFUSED" and "WRONGTYPE" in refused["error"]
    assert refused["may_have_run"] and not refused["may_retry"]
    assert dump(shard, event) == before


# ---- install.lua ----

def test_only_a_newer_gen_is_installed(drive, shard, event):
    assert drive.install(event, gen=5)["code"] == "DONE"
    drive.claim(event, "u")
    before = dump(shard, event)
    for gen in (5, 4, 1):
        answer = drive.install(event, gen=gen, stock=99)
        assert (answer["code"], answer["value"]) == ("NEWER", 5)
    assert dump(shard, event) == before


def test_an_install_forgets_what_the_log_does_not_have(drive, shard, event):
    drive.install(event, stock=4)
    for user in ("lost1", "lost2", "kept"):
        drive.claim(event, user)
    drive.install(event, gen=2, stock=4, holders=[("kept", 3)])
    assert contents(shard, key(event, "o"))[0] == "none"
    assert drive.claim(event, "kept", gen=2)["serial"] == 3
    assert [drive.claim(event, user, gen=2)["serial"] for user in ("a", "b", "c")] == [1, 2, 4]
    assert drive.claim(event, "lost1", gen=2)["code"] == "SOLD_OUT"


def test_a_serial_twice_is_refused_whole(drive, shard, event):
    drive.install(event)
    before = dump(shard, event)
    answer = drive.install(event, gen=2, holders=[("a", 1), ("b", 2), ("c", 2)])
    assert (answer["code"], answer["value"]) == ("DUPLICATE_SERIAL", 2)
    assert dump(shard, event) == before


@pytest.mark.parametrize("rec", ["", "1 x 1 1 c", "1 2", "junk"])
def test_a_holder_that_is_none_is_refused_whole(drive, shard, event, rec):
    script = (ROOT / "src/claim/install.lua").read_text()
    reply = drive.one("call", key(event, "m"), "EVALSHA", sha1(shard, script), 6, *keys(event), 1, 1, 9, 0,
                      FAR_MS, 1, 2, 0, "ok", "1 1 1 1 c", "u", rec)
    assert reply["reply"] == [9, 0]
    assert [kind for kind, _ in dump(shard, event)] == ["none"] * 6


def sha1(shard, script):
    return shard("SCRIPT", "LOAD", script)


@pytest.mark.parametrize("which", KEYS[:5])
def test_a_key_of_a_wrong_type_is_refused_whole(drive, shard, event, which):
    drive.install(event, gen=1, stock=3, holders=[("u", 2)])
    shard("DEL", key(event, which))
    shard("SET", key(event, which), "foreign")
    before = dump(shard, event)
    answer = drive.install(event, gen=2, stock=3)
    assert (answer["code"], answer["value"]) == ("WRONG_TYPE", 1 + KEYS.index(which))
    assert dump(shard, event) == before


def test_a_replica_is_not_installed_into(redis_cluster, drive, shard, event):
    drive.install(event, stock=3)
    replica = redis_cluster.replica_of(shard)
    script = (ROOT / "src/claim/install.lua").read_text()
    with_reads = replica.connect("admin")
    with_reads("READONLY")
    wait_until(lambda: with_reads("EXISTS", key(event, "m")) == 1, "the replica's copy")
    assert with_reads("EVAL", script, 6, *keys(event), 9, 9, 3, 0, FAR_MS, 1, 0, 0) == [7]
    with pytest.raises(RedisError, match="MOVED"):
        replica("EVAL", script, 6, *keys(event), 9, 9, 3, 0, FAR_MS, 1, 0, 0)
    with_reads.close()


def test_a_thousand_holders_are_one_install(drive, event):
    holders = [(f"u{i}", i) for i in range(1, 1001)]
    assert drive.install(event, stock=1001, holders=holders)["code"] == "DONE"
    assert drive.claim(event, "u777")["serial"] == 777
    assert drive.claim(event, "new")["serial"] == 1001
    assert drive.claim(event, "late")["code"] == "SOLD_OUT"


def test_holders_come_in_parts(drive, shard, event):
    """Nothing that is in force changes before the last part; then all of it does at once."""
    drive.install(event, stock=9)
    for n in range(3):
        drive.claim(event, f"old{n}")
    before = dump(shard, event)[:4]
    holders = [("a", 5), ("b", 0), ("c", 1), ("d", 20), ("e", 3)]
    for start in (0, 2):
        answer = drive.install(event, gen=2, stock=24, holders=holders[start:start + 2], of=5, before=start)
        assert (answer["code"], answer["value"]) == ("PART", start + 2)
        assert dump(shard, event)[:4] == before
        assert all(0 < int(shard("TTL", key(event, which))) <= 600 for which in "sb"), "its bringer may die"
    assert drive.install(event, gen=2, stock=24, holders=holders[4:], of=5, before=4)["code"] == "DONE"
    assert [kind for kind, _ in dump(shard, event)] == ["hash", "hash", "list", "none", "none", "none"]
    assert all(shard("TTL", one) == -1 for one in keys(event)[:3])
    free = [serial for serial in range(1, 25) if serial not in (1, 3, 5, 20)]
    assert shard("LRANGE", key(event, "f"), 0, -1) == [str(serial) for serial in reversed(free) if serial < 20]
    assert [drive.claim(event, f"new{serial}", gen=2)["serial"] for serial in free] == free
    assert drive.claim(event, "late", gen=2)["code"] == "SOLD_OUT"
    assert drive.claim(event, "d", gen=2)["serial"] == 20
    assert drive.claim(event, "b", gen=2)["code"] == "RETURNED"
    assert shard("HLEN", key(event, "u")) == 5 + len(free)


def test_a_part_that_does_not_follow_says_where_to_go_on(drive, shard, event):
    """Lost, sent twice, of another gen, or on a node that has forgotten: the answer is where to go on."""
    holders = [(f"u{n}", n) for n in range(1, 7)]

    def part(start, end, gen=1):
        answer = drive.install(event, gen=gen, holders=holders[start:end], of=6, before=start)
        return answer["code"], answer["value"]

    assert part(2, 4) == ("PART", 0)
    assert part(0, 2) == ("PART", 2)
    assert part(4, 6) == ("PART", 2)
    assert part(2, 4) == ("PART", 4)
    assert part(2, 4) == ("PART", 4), "sent twice"
    assert part(4, 6, gen=2) == ("PART", 0), "another's"
    assert part(0, 2, gen=2) == ("PART", 2)
    assert part(4, 6) == ("PART", 0), "was another's meanwhile"
    assert part(0, 3) == ("PART", 3)
    shard("DEL", key(event, "s"))
    assert part(3, 6) == ("PART", 0), "forgotten"
    assert part(0, 6) == ("DONE", 1)
    assert part(3, 6) == ("NEWER", 1)
    assert [drive.claim(event, f"u{n}")["serial"] for n in range(1, 7)] == list(range(1, 7))


def test_a_serial_twice_in_two_parts_is_refused_whole(drive, shard, event):
    drive.install(event)
    before = dump(shard, event)
    drive.install(event, gen=2, holders=[("a", 9), ("b", 2)], of=4)
    answer = drive.install(event, gen=2, holders=[("c", 1), ("d", 9)], of=4, before=2)
    assert (answer["code"], answer["value"]) == ("DUPLICATE_SERIAL", 9)
    assert dump(shard, event) == before


# ---- exactly N ----

def test_eight_clients_at_once_win_exactly_n(drives, shard, event):
    """Each user asks by two clients; serials are 1..N, one for each user, and asking again changes
    nothing (I1, I2)."""
    stock, users = count(200, 2000), count(400, 10_000)
    clients = [drives() for _ in range(8)]
    assert clients[0].install(event, stock=stock)["code"] == "DONE"

    def ask_all():
        asked = []
        for turn, client in enumerate(clients):
            mine = [f"u{i}" for i in range(users) if i % 8 in (turn, (turn + 3) % 8)]
            asked.append((client, mine, client.send(*[("claim", event, user, "c", 1)
                                                      for user in mine])))
        return [(user, answer) for client, mine, lines in asked
                for user, answer in zip(mine, client.take(lines))]

    first = ask_all()
    codes = collections.Counter(answer["code"] for _, answer in first)
    assert codes["WIN"] == stock and set(codes) == {"WIN", "HAVE", "SOLD_OUT"}
    serials = {user: answer["serial"] for user, answer in first if answer["code"] == "WIN"}
    assert sorted(serials.values()) == list(range(1, stock + 1))
    for user, answer in first:
        assert (answer["code"] == "SOLD_OUT") == (user not in serials)
        assert answer["serial"] == serials.get(user, 0)
    before = dump(shard, event)
    for user, answer in ask_all():
        assert answer["code"] == ("HAVE" if user in serials else "SOLD_OUT")
        assert answer["serial"] == serials.get(user, 0)
    assert dump(shard, event) == before
    ids = [entry[0] for entry in shard("XRANGE", key(event, "o"), "-", "+")]
    assert ids == [f"1-{i}" for i in range(1, stock + 1)]
