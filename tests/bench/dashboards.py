"""How long each query of each dashboard takes on a fleet's month: ``python -m tests.bench.dashboards [--folder DIR]``, by hand.

Thirty days of 200 nodes' recorded series, the last day's raw series of all nodes and the month's of one, in blocks by ``promtool
tsdb create-blocks-from openmetrics``; a real Prometheus on them; every target of ``grafana/dashboards/*.json`` as Grafana would ask
it: at the panel's own range, or the dashboard's; then what the README says of long ranges, and each rule as once a minute.
Needs 12 GB of disk for a quarter of an hour, and leaves nothing there unless ``--folder`` names where.
"""

import argparse
import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from tests.bench import dashboards_fleet as fleet
from tests.bench.dashboards_fleet import DAY_S, DAYS, HOUR_S, NODES, SCRAPE_S, Window
from tests.servers.programs import free_port, running, until

ROOT = Path(__file__).resolve().parents[2]
BLOCK_S, RAW_S = 54 * HOUR_S, 3 * HOUR_S  # what Prometheus compacts to; and windows that keep the text below 3 GB
POINTS = 1_000  # as wide as a panel is
STEPS_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400)  # Grafana's
LIMIT_S = 1.0
FULL_NODE = 7  # whose raw series are there for the whole month


class Question(NamedTuple):
    """One target: where it stands, its PromQL, how far it looks back, in which steps (0: at the end alone)."""

    where: str
    expr: str
    range_s: int
    step_s: int


class Answer(NamedTuple):
    """How long it took, and how many series came; ``said``: why none did."""

    question: Question
    took_s: float
    series: int
    said: str = ""


# --- blocks -----------------------------------------------------------------------------------------------------------------


def fill(folder: Path, end_s: int) -> int:
    """Writes the month's blocks; how many samples.  One window is read by promtool while the next is written."""
    begin_s = end_s - DAYS * DAY_S
    recorded = list(fleet.recorded(begin_s, end_s))
    recorded += fleet.raw_of_node(FULL_NODE, begin_s, end_s, range(DAYS), begin_s)
    last_day = [one for node in range(NODES) if node != FULL_NODE
                for one in fleet.raw_of_node(node, end_s - DAY_S, end_s, range(DAYS - 1, DAYS), begin_s)]  # fmt: skip
    samples, reading = 0, None
    for n, window in enumerate(windows(begin_s, end_s)):
        text = folder / f"window-{n}.om"
        with text.open("w", encoding="ascii", buffering=1 << 22) as out:
            samples += fleet.write([*recorded, *last_day], window, out)
            out.write("# EOF\n")
        if reading is not None:
            finish(*reading)
        reading = text, taken_in(text, folder / "tsdb", window.end_s - window.begin_s)
    if reading is not None:
        finish(*reading)
    return samples


def windows(begin_s: int, end_s: int) -> Iterator[Window]:
    """Whole blocks until the last day, whose many series want windows of a few hours."""
    at = begin_s
    while at < end_s:
        to = min((at // BLOCK_S + 1) * BLOCK_S, end_s - DAY_S) if at < end_s - DAY_S else at + RAW_S
        yield Window(at, to)
        at = to


def taken_in(text: Path, tsdb: Path, length_s: int) -> "subprocess.Popen[bytes]":
    hours = 54 if length_s > 6 * HOUR_S else 6
    words = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "-q", f"--max-block-duration={hours}h", str(text), str(tsdb)]
    return subprocess.Popen(words)


def finish(text: Path, promtool: "subprocess.Popen[bytes]") -> None:
    if promtool.wait():
        raise SystemExit(f"promtool could not read {text}")
    text.unlink()


# --- questions --------------------------------------------------------------------------------------------------------------


def of_dashboards() -> Iterator[Question]:
    for file in sorted((ROOT / "grafana" / "dashboards").glob("*.json")):
        page = json.loads(file.read_text(encoding="utf-8"))
        values = {one["name"]: chosen(one) for one in page["templating"]["list"]}
        panels = (panel for top in page["panels"] for panel in (top, *top.get("panels", ())))
        for panel in panels:
            range_s = seconds(panel.get("timeFrom") or page["time"]["from"])
            step_s = max(grafana_step(range_s), seconds(panel.get("interval") or "15s"))
            for target in panel.get("targets", ()):
                step = 0 if target.get("instant") else step_s
                where = f"{file.stem.removeprefix('wattledger-')}: {panel['title']} {target['refId']}"
                yield Question(where, spelled(target["expr"], values, range_s, step_s), range_s, step)


def chosen(variable: dict[str, Any]) -> str:
    """What a variable stands at when a dashboard is opened."""
    if variable.get("includeAll"):
        return str(variable.get("allValue") or ".*")
    if variable["type"] == "query":  # one that is always of one: a node's dashboard opens with the first that there is
        return f"node-{FULL_NODE:03}:9909"
    return str((variable.get("current") or {}).get("value") or "")


def seconds(text: str) -> int:
    """``now-6h``, ``30d``, ``1h``; a day that is not over yet counts whole."""
    if text == "now/d":
        return DAY_S
    number, unit = re.fullmatch(r"(?:now-)?(\d+)([smhd])", text).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "m": 60, "h": HOUR_S, "d": DAY_S}[unit]


def grafana_step(range_s: int) -> int:
    return min(STEPS_S, key=lambda step: abs(step - range_s / POINTS))


def spelled(expr: str, values: dict[str, str], range_s: int, step_s: int) -> str:
    """The expression with Grafana's words and the chosen values in it."""
    words = {"__rate_interval": f"{max(step_s + SCRAPE_S, 4 * SCRAPE_S)}s", "__interval": f"{step_s}s", "__range_s": str(range_s),
             "__range": f"{range_s}s", **values}  # fmt: skip
    return re.sub(r"\$\{?(\w+)(?::\w+)?\}?", lambda found: words.get(found.group(1), found.group(0)), expr)


def of_rules() -> Iterator[Question]:
    for file in ("rules.yml", "alerts.yml"):
        for group in yaml.safe_load((ROOT / "deploy" / "prometheus" / file).read_text())["groups"]:
            for rule in group["rules"]:
                yield Question(f"{group['name']}: {rule.get('record') or rule['alert']}", rule["expr"], 0, 0)


def of_readme() -> Iterator[Question]:
    """Long ranges, as the README of the rules tells to ask them."""
    jobs = "workload:wattledger_energy_joules:increase1h"
    nodes, fleets = (f"{level}_component_method:wattledger_device_energy_joules:increase1h" for level in ("instance", "fleet"))
    tables = {
        "top jobs, joules": "topk(20, last_over_time(top_workload:wattledger_energy_joules:sum30d[1h]))",
        "top jobs, ranked anew": f"topk(20, sum by (job_name) (sum_over_time({jobs}[30d])))",
        "top jobs of a namespace": f'topk(20, sum by (job_name) (sum_over_time({jobs}{{k8s_namespace_name="ns-1"}}[30d])))',
        "one job": f'sum(sum_over_time({jobs}{{job_name="job-3-7-1"}}[30d]))',
        "nodes, joules": f"sum by (instance) (sum_over_time({nodes}[30d]))",
    }
    for level, label in (("model", "model_name"), ("team", "team"), ("namespace", "k8s_namespace_name"), ("zone", "grid_zone")):
        tables[f"{level}s, grams"] = f"sum by ({label}) (sum_over_time({level}:wattledger_emissions_grams:increase1h[30d]))"
    for name, expr in tables.items():
        yield Question(f"30 days: {name}", expr, DAYS * DAY_S, 0)
    for name, metric, by in (("joules a day", fleets, "component"), ("joules a day by node", nodes, "instance")):
        yield Question(f"30 days: {name}", f"sum by ({by}) (sum_over_time({metric}[1d]))", (DAYS - 1) * DAY_S, DAY_S)


def of_one_node(questions: list[Question]) -> Iterator[Question]:
    """A month of raw series, where a reader has chosen one node."""
    for one in questions:
        if one.where.startswith("node:"):
            step_s = grafana_step(DAYS * DAY_S)
            expr = one.expr.replace('instance=~".*"', f'instance=~"node-{FULL_NODE:03}:9909"').replace(f"[{one.range_s}s]", "[30d]")
            expr = re.sub(r"\[\d+s\]", f"[{step_s + SCRAPE_S}s]", expr)
            yield Question(f"one node, 30 days {one.where}", expr, DAYS * DAY_S, step_s if one.step_s else 0)


# --- answers ----------------------------------------------------------------------------------------------------------------


def ask(url: str, question: Question, end_s: int) -> Answer:
    """The better of two times (a page's second load); a failure is an answer too."""
    words = {"query": question.expr, "timeout": "60s"}
    if question.step_s:
        words |= {"start": str(end_s - question.range_s), "end": str(end_s), "step": str(question.step_s)}
    else:
        words |= {"time": str(end_s)}
    path = f"{url}/api/v1/{'query_range' if question.step_s else 'query'}"
    took_s = []
    for _ in range(2):
        began = time.perf_counter()
        try:
            with urllib.request.urlopen(path, urllib.parse.urlencode(words).encode(), timeout=120) as reply:
                said = reply.read()
        except urllib.error.HTTPError as wrong:
            return Answer(question, time.perf_counter() - began, 0, json.load(wrong)["error"][:60])
        took_s.append(time.perf_counter() - began)
        if took_s[0] > 5:
            break
    return Answer(question, min(took_s), len(json.loads(said)["data"]["result"]))


def table(title: str, answers: list[Answer], most: int = 25) -> None:
    slow = [one for one in answers if one.took_s > LIMIT_S or one.said]
    print(f"\n### {title}: {len(answers)} queries, {len(slow)} over {LIMIT_S:g} s or failed\n")
    print("| s | range | step | series | where | query |\n|--:|--:|--:|--:|---|---|")
    for one in sorted(answers, key=lambda one: -one.took_s)[:most]:
        asked = one.question
        query, step = one.said or asked.expr.replace("|", "\\|")[:110], asked.step_s or "-"
        print(f"| {one.took_s:.2f} | {asked.range_s // HOUR_S} h | {step} | {one.series} | {asked.where} | `{query}` |")
    if empty := [one.question.where for one in answers if not one.series]:
        print(f"\nWithout an answer: {len(empty)}: {'; '.join(empty[:most])}")


def measure(folder: Path, end_s: int) -> None:
    port, log = free_port(), folder / "prometheus.log"
    (folder / "prometheus.yml").write_text("global: {}\n")
    url = f"http://127.0.0.1:{port}"
    # Blocks stay as they are: compacting them would take the processor from the queries.
    words = (f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
             "--storage.tsdb.retention.time=10y", "--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h",
             f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn")  # fmt: skip
    last_s = end_s - SCRAPE_S
    with running("prometheus", *words, log=log):
        until(lambda: ready(url), "Prometheus is ready", log)
        pages = list(of_dashboards())
        table("As the dashboards open, raw and recorded", [ask(url, one, last_s) for one in pages])
        table("Of these, the panels that say 30 days", [ask(url, one, last_s) for one in pages if one.range_s == DAYS * DAY_S])
        table("The README's long ranges", [ask(url, one, last_s) for one in of_readme()])
        table("Raw series of one node over 30 days", [ask(url, one, last_s) for one in of_one_node(pages)], 10)
        rules = [ask(url, one, last_s) for one in of_rules()]
        table("Rules, once", rules, 10)
        print(f"\nAll rules of a minute: {sum(a.took_s for a in rules if ':increase1h' not in a.question.where):.1f} s")


def ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--folder", type=Path, help="where the blocks are kept, and used again if they are there")
    kept: Path | None = words.parse_args().folder
    folder = kept or Path(tempfile.mkdtemp(prefix="wattledger-dashboards-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        stamp = folder / "end_s"
        if not stamp.exists():
            end_s, began = int(time.time()) // BLOCK_S * BLOCK_S, time.perf_counter()
            samples = fill(folder, end_s)
            size = sum(f.stat().st_size for f in (folder / "tsdb").rglob("*") if f.is_file())
            print(f"{samples / 1e6:.0f} million samples, {size / 1e9:.2f} GB, written in {time.perf_counter() - began:.0f} s")
            stamp.write_text(str(end_s))
        measure(folder, int(stamp.read_text()))
    finally:
        if kept is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
