"""A claim on a process that we have started: a connection to the agent that says whom it works for, for as long as it is open."""

import contextlib
import os
from typing import Any

from wattledger.core.model import Workload
from wattledger.runtime import clock
from wattledger.runtime.remote.lines import claim_line, hello_line, ping_line
from wattledger.runtime.remote.link import Refused, connect

PING_S = 0.1


class Claimed:
    """A connection that lives as long as what it claims."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def close(self) -> None:
        """Claim no longer; the agent has taken a last look at the process then, if it answers in time."""
        with contextlib.suppress(OSError):
            self._connection.settimeout(PING_S)
            self._connection.send(ping_line())
            self._connection.recv(4096)
        self._connection.close()


def claimed(path: str, workload: Workload, run_id: str, pid: int) -> Claimed | None:
    """Tell the agent, if there is one, whom a process that we have started works for; ``None`` where nobody listens."""
    if not path or not os.path.exists(path):
        return None
    try:
        connection, _, _ = connect(path, hello_line(clock.now(), run_id))
        connection.send(claim_line(workload, run_id, pid))
    except (Refused, OSError):
        return None
    return Claimed(connection)
