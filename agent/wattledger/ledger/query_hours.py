"""How long meters saw the devices that worked for somebody.  Standard SQL over the table ``energy``."""

from typing import Any, NamedTuple

from wattledger.ledger.query import Scope


class Seen(NamedTuple):
    """In a window: for how long, of all of its hosts the longest."""

    start_s: int
    length_s: int
    seen_ms: int


def windows(connection: Any, scope: Scope) -> list[Seen]:
    """The windows of the scope, sorted.  Of each meter the longest of its devices; meters of one host were there in turn (programs
    that each metered themselves), so theirs add up."""
    where, given = scope.where()
    sql = (
        "SELECT start_s, length_s, CAST(MAX(ms) AS BIGINT) FROM (SELECT host, start_s, length_s, SUM(ms) AS ms FROM"
        f" (SELECT host, meter, start_s, length_s, MAX(seen_ms) AS ms FROM energy WHERE {where}"
        " GROUP BY host, meter, start_s, length_s) by_meter"
        " GROUP BY host, start_s, length_s) by_host GROUP BY start_s, length_s ORDER BY 1, 2"
    )
    return [Seen(*row) for row in connection.execute(sql, given).fetchall()]
