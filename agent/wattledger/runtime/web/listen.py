"""``agent.listen`` → a listening socket, or one line that says why not."""

import errno
import socket

from wattledger.runtime.config import ConfigError

BACKLOG = 64
WRONG = "expected HOST:PORT, e.g. 127.0.0.1:9909, [::1]:9909, or :9909 for all interfaces"


def address(listen: str) -> tuple[str, int]:
    """Host (empty: all interfaces) and port of ``HOST:PORT``; an IPv6 host stands in brackets."""
    host, colon, port = listen.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else -1
    if not colon or not 0 <= number <= 65535 or (":" in host and not bracketed):
        raise ConfigError(f"agent.listen = {listen!r}: {WRONG}")
    return host[1:-1] if bracketed else host, number


def bind(listen: str) -> socket.socket:
    """A socket that listens there.  Raises ConfigError."""
    host, port = address(listen)
    try:
        if not host and socket.has_dualstack_ipv6():
            return socket.create_server(("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
        family = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as failure:
        raise ConfigError(f"agent.listen = {listen!r}: {_why(failure, port)}") from failure


def _why(failure: Exception, port: int) -> str:
    match getattr(failure, "errno", None):
        case errno.EADDRINUSE:
            return f"port {port} is in use (another agent? `ss -ltnp` names who has it); free it or choose another"
        case errno.EACCES | errno.EPERM:
            return f"no permission for port {port}; choose one from 1024 up"
        case errno.EADDRNOTAVAIL:
            return "no interface of this machine has this address; `ip address` lists them"
        case errno.EAFNOSUPPORT:
            return "this machine has no IPv6; give an IPv4 address"
    return f"no such host ({failure})" if isinstance(failure, (socket.gaierror, UnicodeError)) else str(failure)
