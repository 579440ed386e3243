"""Two jobs, a live grid that replays recorded replies, the plug pulled between them, and an hour that is revised afterwards."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.node.agents import agent

RECORDINGS = os.environ.get("WATTLEDGER_RECORDINGS")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not RECORDINGS, reason="WATTLEDGER_RECORDINGS names no folder of recordings"),
]
HOUR_S = 3600
ROOM_S = 90  # what all of it takes: an hour must not end meanwhile


class Grid:
    """The recorded day of DE, moved so that it ends with the hour that is now; ``revised_g``: what its operator says later."""

    def __init__(self) -> None:
        assert RECORDINGS
        recorded = json.loads(Path(RECORDINGS, "grid_api", "carbon_intensity_history.json").read_text())
        self.hour_s = int(time.time()) // HOUR_S * HOUR_S
        last_s = _epoch_s(recorded["history"][-1]["datetime"])
        self.rows = [_moved(row, self.hour_s - last_s) for row in recorded["history"]]
        self.revised_g: int | None = None
        self.tokens: set[str | None] = set()

    def history(self) -> dict[str, Any]:
        rows = [dict(row) for row in self.rows]
        if self.revised_g is not None:
            rows[-1] |= {"carbonIntensity": self.revised_g, "updatedAt": _iso(time.time())}
        return {"zone": "DE", "history": rows}


def _moved(row: dict[str, Any], by_s: int) -> dict[str, Any]:
    times = {name: _iso(_epoch_s(row[name]) + by_s) for name in ("datetime", "updatedAt", "createdAt")}
    return {**row, **times, "zone": "DE"}


def _epoch_s(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _iso(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@contextmanager
def served(grid: Grid) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Quietly."""

        def do_GET(self) -> None:
            grid.tokens.add(self.headers.get("auth-token"))
            path = self.path.split("?")[0].rsplit("/", 1)[1]
            said = {"history": grid.history(), "latest": grid.history()["history"][-1]}.get(path)
            body = json.dumps(said).encode()
            self.send_response(403 if said is None else 200)  # a free plan has no more
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v3"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def config(url: str) -> str:
    return f"""
[grid]
zone = "DE"
provider = "electricitymaps"
period_s = 1
[grid.electricitymaps]
url = "{url}"
factors = "lifecycle"
[ledger]
commit_interval_s = 1
"""


def job(name: str) -> None:
    code = "import time; end = time.monotonic() + 4\nwhile time.monotonic() < end: pass"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "WATTLEDGER_JOB": name}, check=True, timeout=60)


def wattledger(*words: str, books: Path) -> str:
    command = [sys.executable, "-c", "from wattledger.cli import main; main()", *words, "--ledger", str(books)]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("WATTLEDGER_")}
    environ |= {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def report(books: Path, *words: str) -> dict[str, dict[str, Any]]:
    found = json.loads(wattledger("report", "job", "--json", *words, books=books))
    return {row["job"]: row for row in found["rows"] if row["job"] in ("alpha", "beta")}


def grams(row: dict[str, Any]) -> float:
    return float(row["emissions_g"]["location_based"]["value"])


def test_the_joules_stay_the_grams_follow_the_grid_and_both_versions_are_there(tmp_path: Path) -> None:
    if HOUR_S - time.time() % HOUR_S < ROOM_S:
        time.sleep(HOUR_S - time.time() % HOUR_S + 1)
    grid, books = Grid(), tmp_path / "state" / "ledger"
    key = {"ELECTRICITYMAPS_API_KEY": "not-for-anybody"}
    with served(grid) as url:
        with agent(tmp_path, config=config(url), env=key) as first:
            job("alpha")
            time.sleep(3)  # a tick and a commit
            first.process.kill()  # the plug
            first.process.wait()
        with agent(tmp_path, config=config(url), env=key) as second:
            job("beta")
            time.sleep(3)
            assert second.stop() == 0
        before = report(books)
        learnt = int(time.time())
        assert before.keys() == {"alpha", "beta"}
        assert all(row["energy_uj"] > 0 for row in before.values())
        time.sleep(1.1)  # what is learnt from now on was not known then
        value_g = grid.rows[-1]["carbonIntensity"]
        grid.revised_g = 2 * value_g
        with agent(tmp_path, config=config(url), env=key) as third:
            time.sleep(4)
            assert third.stop() == 0
    after, then = report(books), report(books, "--as-of", _iso(learnt))
    for name, row in before.items():
        assert after[name]["energy_uj"] == then[name]["energy_uj"] == row["energy_uj"]
        assert grams(row) == pytest.approx(row["energy_uj"] / 3.6e12 * value_g, rel=1e-9)
        assert grams(after[name]) == pytest.approx(2 * grams(row), rel=1e-9)
        assert grams(then[name]) == grams(row)
        assert after[name]["emissions_g"]["location_based_inventory"] == row["emissions_g"]["location_based_inventory"]
    wattledger("ledger", "verify", books=books)
    assert grid.tokens == {"not-for-anybody"}
    assert b"not-for-anybody" not in (books / "open.db").read_bytes()
