"""Writes every dashboard: ``python -m grafana.source.build [FOLDER]``, from the root of the repository."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

FOLDER = Path(__file__).resolve().parents[1] / "dashboards"
MODULES = ("fleet", "job", "models", "node", "grid", "health")  # each has a PAGE


def pages() -> dict[str, model.Dashboard]:
    """By the name of their file."""
    found = (importlib.import_module(f"grafana.source.{name}").PAGE for name in MODULES)
    return {f"{page.uid}.json": page for page in found}


def written(page: model.Dashboard) -> str:
    """Its file: what Grafana's import and its provisioning both take."""
    plain: dict[str, Any] = json.loads(json.dumps(page, cls=JSONEncoder))
    plain["id"] = None  # Grafana numbers it; the uid is what links name
    plain["__requires"] = _required(plain)
    return json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _required(plain: dict[str, Any]) -> list[dict[str, str]]:
    """What a Grafana must have, as its import page and grafana.com read it."""
    panels = [panel for top in plain["panels"] for panel in (top, *top.get("panels", ()))]
    kinds = sorted({panel["type"] for panel in panels} - {"row"})
    return [
        {"type": "grafana", "id": "grafana", "name": "Grafana", "version": "11.6.0"},
        {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
        *({"type": "panel", "id": kind, "name": kind, "version": ""} for kind in kinds),
    ]


def main(folder: Path = FOLDER) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in pages().items():
        (folder / name).write_text(written(page), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
