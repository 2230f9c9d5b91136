# SPDX-License-Identifier: Apache-2.0
"""Records of the log, encoded by nobody but this file (src/log/record.h says how), so that tests can
write what no server would.

    opened, win, fence, returned, restock, pause, close   a record, as bytes
    Story                                                 an event's records that a judge finds valid
"""
import struct

TYPES = {"open": 1, "fence": 2, "win": 3, "return": 4, "restock": 5, "reschedule": 6, "pause": 7,
         "resume": 8, "close": 9, "mark": 10}
NEVER = (1 << 63) - 1
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82f63b78 if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = crc_table()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xffffffff


def text(value):
    data = value.encode()
    return struct.pack("<H", len(data)) + data


def record(kind, event, numbers=b"", texts=(), ms=1000, operator="", reason="", version=1):
    body = struct.pack("<q", ms) + numbers
    if event is not None:
        body += b"".join(map(text, (event, operator, reason, *texts)))
    number = TYPES.get(kind, kind)

    def head(crc):
        return struct.pack("<4sBBHIIQQ", b"CPNL", version, number, 0, 32 + len(body), crc, 0, 0)
    data = head(crc32c(head(0) + body)) + body
    return data + bytes(-len(data) % 8)


def opened(event, stock, starts=0, ends=NEVER, key_id=0, **more):
    return record("open", event, struct.pack("<IqqQB", stock, starts, ends, key_id, 16),
                  ("", ALPHABET), **more)


def win(event, serial, user, gen=1, claim="", **more):
    return record("win", event, struct.pack("<IIQ", gen, serial, serial), (user, claim), **more)


def fence(event, gen, nonce=0, **more):
    return record("fence", event, struct.pack("<IQ", gen, nonce), **more)


def returned(event, serial, user, **more):
    return record("return", event, struct.pack("<I", serial), (user,), **more)


def restock(event, stock, **more):
    return record("restock", event, struct.pack("<I", stock), **more)


def pause(event, **more):
    return record("pause", event, **more)


def resume(event, **more):
    return record("resume", event, **more)


def close(event, **more):
    return record("close", event, **more)


class Story:
    """What one event lived through: `records` for the log, and the rows that have to come of them."""

    def __init__(self, event, stock):
        self.event, self.stock, self.gen = event, stock, 1
        self.records = [opened(event, stock)]
        self.holders = {}

    def wins(self, count, prefix="u", duplicates=0):
        """`count` more; every `duplicates`-th twice."""
        for _ in range(count):
            serial = min(set(range(1, self.stock + 1)) - set(self.holders)) if len(self.holders) < \
                max(self.holders, default=0) else len(self.holders) + 1
            user = f"{prefix}{serial}-{len(self.records)}"
            one = win(self.event, serial, user, self.gen, claim=f"c{serial}")
            self.holders[serial] = user
            self.records.append(one)
            if duplicates and serial % duplicates == 0:
                self.records.append(one)
        return self

    def fence(self):
        """With a late win of the old generation behind it, which is void."""
        self.gen += 1
        self.records += [fence(self.event, self.gen),
                         win(self.event, len(self.holders) + 1, "late", self.gen - 1)]
        return self

    def give_back(self, serial):
        user = self.holders.pop(serial)
        self.records.append(returned(self.event, serial, user, operator="ops", reason="너무 비쌈 '\\"))
        return self

    def add(self, *records):
        self.records += records
        return self

    def rows(self):
        return sorted((str(serial), user) for serial, user in self.holders.items())
