"""The four ways to allocate shared hardware (ISO 14044 4.3.4.2: physical before economic), and the prices that one needs."""

import csv
import io
from collections.abc import Mapping

from wattledger.ledger.query_embodied_sql import METHODS as METHODS
from wattledger.ledger.query_embodied_sql import PPM
from wattledger.ledger.query_embodied_sql import Method as Method

SAID: Mapping[Method, str] = {
    "reserved": "by reserved time: who holds a device pays, used or not; what nobody holds is paid by use, the rest is (idle)",
    "time": "by time: all jobs there at a time share it equally",
    "physical": "by physical use: the energy that each job drew; what the machine drew idle is (idle)",
    "economic": "by price: reserved time, weighed by what a job pays for an hour",
}
ANY = "*"


class NoPrice(ValueError):
    """A job was there, and what it pays for an hour is not known.  The message is one line."""


def method_of(word: str) -> Method:
    """By its name.  Raises ValueError with one line."""
    for method in METHODS:
        if method == word:
            return method
    raise ValueError(f"{word!r} is no way to allocate shared hardware: {', '.join(METHODS)}")


def prices_of(text: str, where: str) -> dict[str, float]:
    """``job,price`` rows (a head is optional; ``*`` is any other job) → price per hour by job.  Raises ValueError with one line."""
    found: dict[str, float] = {}
    for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#") or (number == 1 and [c.casefold() for c in cells[:2]] == ["job", "price"]):
            continue
        try:
            price = float(cells[1])
        except (IndexError, ValueError):
            said = ",".join(row)
            raise ValueError(f"{where}, line {number}: expected JOB,PRICE (per hour), e.g. train,2.50; not {said!r:.80}") from None
        if not 0 <= price < float("inf"):
            raise ValueError(f"{where}, line {number}: {cells[0]!r} has a price of {cells[1]}: a price is a number from 0 on")
        if cells[0] in found:
            raise ValueError(f"{where}, line {number}: {cells[0]!r} has two prices")
        found[cells[0]] = price
    if not any(found.values()):
        raise ValueError(f"{where}: there is no price in it: rows of JOB,PRICE (per hour), e.g. train,2.50")
    return found


def weights_of(prices: Mapping[str, float], jobs: list[str]) -> dict[str, int]:
    """Parts per million of the highest price, for each job that was there.  Reserved names pay nothing unless they are named.

    Raises NoPrice."""
    highest = max(prices.values())
    found = {}
    for job in jobs:
        price = prices.get(job, 0.0 if job.startswith("(") else prices.get(ANY))
        if price is None:
            raise NoPrice(f"no price for job {job!r}: a row {ANY},PRICE prices all jobs that are not named")
        found[job] = round(price / highest * PPM)
    return found

