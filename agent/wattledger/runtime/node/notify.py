"""Tells systemd how the agent is (sd_notify(3)): ready, alive, reloading, stopping.  Without systemd it says nothing."""

import contextlib
import socket
from collections.abc import Mapping

from wattledger.runtime import clock


class Notify:
    """``NOTIFY_SOCKET`` is where, ``WATCHDOG_USEC`` how often systemd wants a sign of life; ``period_s`` is half of that, or
    ``None``."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        where = environ.get("NOTIFY_SOCKET", "")
        # An abstract socket is written with an @ for its first, zero, byte.
        self._where = f"\0{where[1:]}" if where.startswith("@") else where
        usec = environ.get("WATCHDOG_USEC", "")
        self.period_s = int(usec) / 2e6 if usec.isdigit() and int(usec) else None

    def ready(self) -> None:
        self._say("READY=1")

    def alive(self, status: str) -> None:
        self._say(f"WATCHDOG=1\nSTATUS={status}")

    def reloading(self) -> None:
        # Type=notify-reload wants the time by CLOCK_MONOTONIC, so that an old answer is not taken for a new one.
        self._say(f"RELOADING=1\nMONOTONIC_USEC={clock.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    def _say(self, text: str) -> None:
        if not self._where:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.sendto(text.encode(), self._where)
