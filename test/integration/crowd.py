# SPDX-License-Identifier: Apache-2.0
"""Many clients at once, what each was told, and whether a server keeps to it afterwards.

    crowd   claims in several threads, until all have asked or the server is gone
    Told    what was said to whom: who won what, who was left in doubt
"""
import threading

from client import Closed, problem
from harness import wait_until


class Told:
    """What a server has said about one event of `stock` coupons, over all its lives."""

    def __init__(self, event, stock):
        self.event, self.stock = event, stock
        self.coupons = {}   # user -> (serial, coupon_id), of everybody who was told of a coupon
        self.losers = set()  # who was told final
        self.doubts = 0      # answers 202 and 503
        self.unheard = 0     # answers that never came
        self.wrong = []
        self.lock = threading.Lock()

    def hear(self, user, response):
        body = response.json
        with self.lock:
            if response.status == 200 and body["success"]:
                coupon = (body["serial"], body["coupon_id"])
                if self.coupons.setdefault(user, coupon) != coupon:
                    self.wrong.append(f"{user} had {self.coupons[user]} and has now {coupon}")
                if user in self.losers:
                    self.wrong.append(f"{user} was told that all is over, and has now {coupon}")
            elif response.status == 200 and body["result"] == "sold_out":
                if body["final"]:
                    self.losers.add(user)
                if user in self.coupons:
                    self.wrong.append(f"{user} has {self.coupons[user]} and was told sold out")
            elif response.status in (202, 503):
                self.doubts += 1
            else:
                self.wrong.append(f"{user} was told {response}")

    def check(self):
        """Nothing was said that contradicts something else (I1, I2, I5)."""
        assert not self.wrong, self.wrong[:5]
        serials = [serial for serial, _ in self.coupons.values()]
        assert len(set(serials)) == len(serials), "a serial twice"
        assert all(1 <= serial <= self.stock for serial in serials), "a serial that there is not"
        codes = [code for _, code in self.coupons.values()]
        assert len(set(codes)) == len(codes), "a coupon twice"

    def check_against(self, server):
        """Everybody who was told of a coupon still has it (I4), and nobody else has that one (I1)."""
        self.check()
        rows = {row["user_id"]: (row["serial"], row["coupon_id"])
                for row in server.export(self.event)}
        lost = {user: coupon for user, coupon in self.coupons.items() if rows.get(user) != coupon}
        assert not lost, f"told and gone: {list(lost.items())[:5]}"
        serials = [serial for serial, _ in rows.values()]
        assert len(set(serials)) == len(serials) and len(rows) <= self.stock
        with server.client() as client:
            for user in self.coupons:
                self.hear(user, client.claim(user, self.event))
        self.check()
        assert server.status_of(self.event)["total_participants"] == len(rows)

    def sell_the_rest(self, server, prefix):
        """New users get what is left, exactly; then all is over for good."""
        depth, result = 64, None
        with server.client() as client:
            # One round more than there are coupons: who was refused for a moment in the last of
            # them may have let somebody behind him win.
            for start in range(0, self.stock + 2 * depth, depth):
                users = [f"{prefix}-{n}" for n in range(start, start + depth)]
                client.send(b"".join(client.claim_bytes(user, self.event) for user in users))
                refused = [user for user in users if not self._is_heard(user, client.response())]
                for user in refused:  # for lack of room: the next segment is on its way
                    wait_until(lambda user=user: self._is_heard(
                        user, client.claim(user, self.event)), f"an answer for {user}")
                result = client.claim(users[-1], self.event)
                if result.result == "sold_out":
                    break
        assert result.json["final"] is True, result
        rows = server.export(self.event)
        assert [row["serial"] for row in rows] == list(range(1, self.stock + 1))
        self.check()

    def _is_heard(self, user, response):
        """False when it was refused for the moment, or a slow disk has left it open."""
        if response.status == 503:
            problem(response, 503, "busy")
        if response.status in (202, 503):
            return False
        assert response.status == 200, response
        self.hear(user, response)
        return True


def _claim_all(server, told, users, depth):
    """Claims of `users` in turn, `depth` at a time, over one connection; ends when that does."""
    asked = answered = 0
    try:
        with server.client(seconds=60) as client:
            while answered < len(users):
                batch = users[asked:asked + depth]
                client.send(b"".join(client.claim_bytes(user, told.event) for user in batch))
                asked += len(batch)
                for user in batch:
                    told.hear(user, client.response())
                    answered += 1
    except (Closed, OSError):
        with told.lock:
            told.unheard += asked - answered


class Crowd:
    """`threads` clients at work; everybody of `users` claims once."""

    def __init__(self, server, told, users, threads=4, depth=1):
        parts = [users[n::threads] for n in range(threads)]
        self.threads = [threading.Thread(target=_claim_all, args=(server, told, part, depth))
                        for part in parts]
        for thread in self.threads:
            thread.start()

    def wait(self):
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive(), "a client is still waiting for its answer"


def crowd(server, told, users, **options):
    Crowd(server, told, users, **options).wait()
