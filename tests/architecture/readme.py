"""The table of metrics in exporters/README.md, made from the catalog; ``python tests/architecture/readme.py`` writes it anew."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "exporters" / "README.md"
BEGIN, END = "<!-- metrics: made from core/catalog.py -->", "<!-- end of metrics -->"


def table() -> str:
    """One row a metric."""
    from wattledger.core.catalog import CATALOG, WHO

    lines = ["| Prometheus | kind | labels | OpenTelemetry | what it says |", "|---|---|---|---|---|"]
    for metric in CATALOG:
        who = metric.labels[: len(WHO)] == WHO
        labels = ["*who*", *metric.labels[len(WHO) :]] if who else list(metric.labels)
        shown = ", ".join(label if label == "*who*" else f"`{label}`" for label in labels) or "-"
        otlp = f"`{metric.otlp_name}`{f' {metric.otlp_unit}' if metric.otlp_unit else ''}" if metric.otlp_name else "resource"
        lines.append(f"| `{metric.name}` | {metric.kind} | {shown} | {otlp} | {metric.help} |")
    who_labels = ", ".join(f"`{label}`" for label in WHO)
    return "\n".join([*lines, "", f"*who*: {who_labels}, and those of `[agent] labels`; an empty one is left out."])


def with_table(text: str) -> str:
    """The file with its table as it should be."""
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "agent"), str(ROOT / "exporters")]
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
