"""One JSON object a row of the catalog: ``{"name", "kind", "unit", "labels": {...}, "value"}``, one a line, for logs and scripts.

``unit`` and empty labels are absent where there is none.  ``value`` has every digit: energy is exact to the microjoule.
"""

import json

from wattledger.core.catalog import CATALOG, number_text
from wattledger.core.totals import Snapshot


class Jsonl:
    """A ``Renderer``; stateless; ``accept`` is not looked at."""

    def render(self, snapshot: Snapshot, accept: str = "") -> bytes:
        """UTF-8 JSON lines, in the catalog's order."""
        lines = []
        for metric in CATALOG:
            names = metric.label_names(snapshot)
            for values, number in metric.rows(snapshot):
                row = {"name": metric.name, "kind": metric.kind}
                if metric.unit:
                    row["unit"] = metric.unit
                labels = {label: value for label, value in zip(names, values, strict=True) if value}
                head = json.dumps({**row, "labels": labels}, ensure_ascii=False)
                # Appended as text: json knows no decimals, and a float would round what the catalog kept exact.
                lines.append(f'{head[:-1]}, "value": {number_text(number)}}}\n')
        return "".join(lines).encode("utf-8", "replace")
