"""Which start of the machine this is.

A power cut may take back what was written and never synced. So what was derived before the
last start is compared with the files again; this tells when.

    >>> boot_id() == boot_id()
    True
"""

from __future__ import annotations

import os
import sys
import time
from functools import cache
from pathlib import Path

_CLOCK_SLACK_SECONDS = 600


@cache
def boot_id() -> str:
    """A name for the time since the machine started; another one for each process where unknown."""
    return _system_boot_id() or f"process {os.getpid()} {time.time_ns()}"


def _system_boot_id() -> str:
    if sys.platform == "darwin":
        return _sysctl(b"kern.bootsessionuuid")
    if sys.platform == "win32":
        import ctypes

        started = time.time() - ctypes.windll.kernel32.GetTickCount64() / 1000
        return f"near {round(started / _CLOCK_SLACK_SECONDS)}"  # a slip of the clock costs a comparison
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _sysctl(name: bytes) -> str:
    import ctypes

    buffer = ctypes.create_string_buffer(64)
    size = ctypes.c_size_t(len(buffer))
    failed = ctypes.CDLL(None).sysctlbyname(name, buffer, ctypes.byref(size), None, ctypes.c_size_t(0))
    return "" if failed else buffer.value.decode("ascii", "replace")
