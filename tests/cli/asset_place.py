"""Books with machines in them, and the console script beside them."""

import json
from pathlib import Path
from typing import Any

from tests.cli.front import Front

from wattledger.accounting.assets.words import fact
from wattledger.core.facts import AssetFact
from wattledger.ledger.store import OPEN, Store

DAY_S = 86_400
YEAR_S = 365 * DAY_S
H100 = "NVIDIA H100 80GB HBM3"
JAN_S = 1_735_689_600  # 2025-01-01


def server(name: str = "dgx-1", host: str = "gpu-7", *, gpus: int = 2) -> list[AssetFact]:
    """A server of 1,500 kg with GPUs of 164 kg each, in service since 2025-01-01 on a host."""
    made = [fact(name, "make", at_s=JAN_S - YEAR_S, emitted_g=1_500_000, kind="server", model="DGX", el_h=43_800)]
    for n in range(gpus):
        words: dict[str, str | int] = {"device": f"GPU-{name}-{n}", "mass_g": 1690, "el_h": 35_040, "inside": name}
        card = fact(f"{name}/gpu-{n}", "make", at_s=JAN_S - YEAR_S, emitted_g=164_000, kind="gpu", model=H100, **words)
        made.append(card)
    return [*made, fact(name, "commission", at_s=JAN_S, host=host, owner="research")]


def books(folder: Path, *facts: AssetFact) -> Path:
    """A user's books with these facts."""
    store = Store.open(folder)
    store.append(facts, JAN_S + YEAR_S)
    store.close()
    return folder


def rows(folder: Path) -> list[tuple[int, str, str]]:
    """Every row of the open books: number, body, hash."""
    if not (folder / OPEN).exists():
        return []
    store = Store.open(folder, readonly=True)
    found = [(row.seq, row.body, row.hash.hex()) for row in store.rows()]
    store.close()
    return found


def said(front: Front, *words: str) -> dict[str, Any]:
    """What a command says as JSON; it must succeed, and complain of nothing."""
    answer = front(*words, "--json")
    assert answer.status == 0, answer.err
    found = json.loads(answer.out)
    assert isinstance(found, dict)
    return found
