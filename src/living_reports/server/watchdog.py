"""A second process that ends this one when it does not end by itself after a signal.

A call in C that keeps the interpreter's lock stops every thread of Python: no signal handler runs, no timer,
and no second signal helps. What still works is the C handler of `faulthandler`. On a signal it writes where
the main thread is into a pipe, and then calls the usual handler. At the other end of the pipe a shell waits
for the first line; it kills this process if that is still there some seconds later. Without a shell, or on
Windows, there is no watchdog.

    watchdog = start_watchdog(6.0)
    loop.add_signal_handler(signal.SIGTERM, stop)
    watchdog(signal.SIGTERM)
"""

from __future__ import annotations

import faulthandler
import logging
import os
import subprocess
import sys
from collections.abc import Callable

logger = logging.getLogger(__name__)

SHELL = "/bin/sh"
SCRIPT = """
trap "" HUP INT TERM
read -r line || exit 0
(sleep "$1"; kill -KILL "$2") &
cat >/dev/null
kill -KILL $!
"""
"""It ends with the process that it watches, because the pipe ends then."""

Watch = Callable[[int], None]
"""Extends the handler of a signal, which must have been set before."""


def start_watchdog(seconds: float) -> Watch:
    """Start the watchdog; it kills this process if it still runs so long after a signal that is watched."""
    if sys.platform == "win32" or not os.path.exists(SHELL):
        return lambda number: None
    reader, writer = os.pipe()
    command = [SHELL, "-c", SCRIPT, "living-reports-watchdog", f"{seconds:.0f}", str(os.getpid())]
    try:
        # It is not waited for: it ends after this process.
        process = subprocess.Popen(
            command, stdin=reader, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except OSError as error:
        logger.info("there is no watchdog: %s", error.strerror)
        os.close(writer)
        return lambda number: None
    finally:
        os.close(reader)
    process.returncode = 0  # the interpreter warns at its end of a process that still runs
    return lambda number: faulthandler.register(number, file=writer, all_threads=False, chain=True)
