# SPDX-License-Identifier: Apache-2.0
"""One thread of a server, stopped while the others run: as a debugger does it, by ptrace."""
import ctypes
import os
import pathlib

SEIZE, INTERRUPT, DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, thread):
    if libc.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of {thread}")


def thread_of(server, name):
    """The thread that calls itself so."""
    threads = pathlib.Path(f"/proc/{server.process.pid}/task")
    return next(int(path.name) for path in threads.iterdir()
                if (path / "comm").read_text().strip() == name)


class Frozen:
    def __init__(self, server, name):
        self.thread = thread_of(server, name)

    def __enter__(self):
        ptrace(SEIZE, self.thread)
        ptrace(INTERRUPT, self.thread)
        os.waitpid(self.thread, WALL)
        return self

    def __exit__(self, *_):
        ptrace(DETACH, self.thread)
