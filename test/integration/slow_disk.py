# SPDX-License-Identifier: Apache-2.0
"""Commands test/fake/slow_disk.c, the disk that is slow, stands still or fails when told so."""
import errno
import mmap
import pathlib
import struct
import subprocess
import time

from client import ANSWER_SECONDS
from harness import ROOT, wait_until

SOURCE = ROOT / "test" / "fake" / "slow_disk.c"
KINDS = ("pwrite", "fdatasync", "fsync", "fallocate", "rename", "open", "pread", "truncate", "link",
         "unlink", "mmap")
FIELDS = ("hold", "waiting", "delay_ms", "calls", "fail_from", "fail_count", "error", "torn")
TORN, SHORT = 1, 2
ALL_FROM_NOW = 2**31 - 1


def build_shim(folder):
    library = pathlib.Path(folder) / "slow_disk.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o", str(library),
                    str(SOURCE), "-ldl"], check=True)
    return library


class SlowDisk:
    """The rules that a server started with `**disk.preload` obeys, now."""

    def __init__(self, shim, path):
        self.shim, self.path = shim, pathlib.Path(path)
        self.path.write_bytes(bytes(4 * len(KINDS) * len(FIELDS)))
        self.file = self.path.open("r+b")
        self.rules = mmap.mmap(self.file.fileno(), 0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for kind in KINDS:
            self.release(kind)
        self.rules.close()
        self.file.close()

    @property
    def preload(self):
        return {"preload": self.shim, "environment": {"SLOW_DISK": str(self.path)}}

    def _offset(self, kind, field):
        return 4 * (KINDS.index(kind) * len(FIELDS) + FIELDS.index(field))

    def get(self, kind, field):
        return struct.unpack_from("<i", self.rules, self._offset(kind, field))[0]

    def set(self, kind, **values):
        for field, value in values.items():
            struct.pack_into("<i", self.rules, self._offset(kind, field), value)

    def hold(self, kind="fdatasync"):
        """Calls stand still from now on."""
        self.set(kind, hold=1)

    def await_held(self, kind="fdatasync", seconds=ANSWER_SECONDS):
        """Until a call stands still."""
        wait_until(lambda: self.get(kind, "waiting") > 0, f"a {kind} that is held", seconds)

    def release(self, kind="fdatasync"):
        self.set(kind, hold=0)

    def fail(self, kind, at=1, times=ALL_FROM_NOW, code=errno.EIO, torn=0):
        """The call `at` from now on fails with `code`, and those behind it, `times` in all."""
        self.set(kind, fail_from=0)
        self.set(kind, calls=0, fail_count=times, error=code, torn=torn)
        self.set(kind, fail_from=at)

    def heal(self, *kinds):
        for kind in kinds or KINDS:
            self.set(kind, fail_from=0, delay_ms=0)
            self.release(kind)

    def calls(self, kind):
        return self.get(kind, "calls")

    def settle(self, kind="fdatasync", seconds=0.3):
        """Until no such call has come for a while."""
        while True:
            before = self.calls(kind)
            time.sleep(seconds)
            if self.calls(kind) == before:
                return
