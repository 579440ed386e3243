"""Whether the agent in this container answers, for HEALTHCHECK: exit status 0 or 1, one line why.

It asks ``/readyz`` on this machine at the port of WATTLEDGER_AGENT_LISTEN (9909), over TLS where plain words are not answered.
401 is an answer: only users may know more.
"""

import http.client
import os
import ssl
import sys

WAIT_S = 4.0
ALIVE = (200, 401)


def status(port: int) -> int:
    """The answer's status.  Raises OSError or HTTPException."""
    # A certificate of this machine's name is not one of 127.0.0.1, and nothing is told here that anybody could read.
    unchecked = ssl._create_unverified_context()
    plain = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    try:
        return asked(plain)
    except (http.client.HTTPException, ConnectionResetError):
        return asked(http.client.HTTPSConnection("127.0.0.1", port, timeout=WAIT_S, context=unchecked))


def asked(connection: http.client.HTTPConnection) -> int:
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    finally:
        connection.close()


def main() -> int:
    port = int(os.environ.get("WATTLEDGER_AGENT_LISTEN", "127.0.0.1:9909").rpartition(":")[2])
    try:
        found = status(port)
    except (OSError, http.client.HTTPException) as failure:
        print(f"port {port}: {failure or type(failure).__name__}")
        return 1
    print(f"port {port}: status {found}")
    return 0 if found in ALIVE else 1


if __name__ == "__main__":
    sys.exit(main())
