"""``python tests/bench/run.py [region|import|idle|accuracy|coverage|slowdown|all] [--peers] [--json FILE]``

Run by hand: figures are printed as a Markdown table and kept as JSON, never asserted, because they are this machine's.
Everyone is measured on the same rig (tests/rig) in the same run; peers are installed into environments of their own the first time.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench import accuracy, costs, coverage, slowdown
from tests.bench.table import Report, Row
from tests.bench.venvs import Tool, ours, peers

BENCHES: dict[str, Callable[[Sequence[Tool]], list[Row]]] = {
    "import": costs.imports,
    "region": costs.regions,
    "idle": costs.idle,
    "slowdown": slowdown.measure,
    "accuracy": accuracy.measure,
    "coverage": coverage.measure,
}


def main() -> None:
    """Measure what was asked for, print it, keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", nargs="*", choices=[*BENCHES, "all"], default=["all"])
    parser.add_argument("--peers", action="store_true", help="beside CodeCarbon and Zeus, installed where they are not yet")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), metavar="FILE")
    asked = parser.parse_args()
    tools = [*ours(), *(peers() if asked.peers else [])]
    names = list(BENCHES) if "all" in asked.bench else asked.bench
    report = Report(tools, [row for name in names for row in BENCHES[name](tools)])
    report.write(asked.json)
    print(report.markdown())


if __name__ == "__main__":
    main()
