"""Whose requests, and the books: two tenants that tell of theirs and one client that does not, at a real engine beside an agent."""

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.cli.front import Front, own_place
from tests.node.agents import Agent, Row, agent, total
from tests.runtime.books.read import known
from tests.servers import llama
from tests.servers.load import ASKED, DIVIDED, ENERGY, GOT, KINDS, TOKENS, Load, Tenant, by_kind, config, identity, llama_url
from tests.servers.programs import until

from wattledger.core.facts import AllocationFact, EnergyFact, Known, WorkFact
from wattledger.core.units import UJ_PER_J
from wattledger.integrations import _agent

pytestmark = pytest.mark.slow
TOLD_S, UNTOLD_S = 6.0, 2.5
G_PER_J = 329 / 3.6e6  # DE, EEA 2023
DEVICE = "wattledger_device_energy_joules_total"
MODEL = {"model_name": llama.ALIAS}
UNRECORDED = "(unrecorded)"
TENANTS = ("blue", "red", UNRECORDED)
_NEVER = threading.Event()


class Served(NamedTuple):
    """The agent's pages while requests were settled, the last of them with all settled; and its books, after its end."""

    tenants: dict[str, Tenant]
    untold: Load
    pages: list[list[Row]]
    books: Path
    log: str

    @property
    def last(self) -> list[Row]:
        return self.pages[-1]


def is_settled(rows: list[Row]) -> bool:
    return by_kind(rows, ASKED, "prompt", "generated") == by_kind(rows, TOKENS, "prompt", "generated", **MODEL)


def asked(port: int, node: Agent) -> tuple[dict[str, Tenant], Load]:
    """Two tenants at once, then a client that tells nobody."""
    tenants = {"red": Tenant(port, "red", streams=False), "blue": Tenant(port, "blue", streams=True)}
    ended, untold = threading.Event(), Load(port, 1)
    threads = [threading.Thread(target=tenant.run, args=(ended,)) for tenant in tenants.values()]
    for thread in threads:
        thread.start()
    ended.wait(TOLD_S)
    ended.set()
    for thread in threads:
        thread.join()
    _NEVER.wait(1.5)  # a scrape between the two: who asked then is not known by a stretch that both have a part in
    untold.run(UNTOLD_S)
    whole = untold.generated + sum(tenant.told["generated"] for tenant in tenants.values())
    until(lambda: total(node.scrape(), TOKENS, **MODEL, kind="generated") >= whole, "its tokens are counted")
    return tenants, untold


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("requests")
    pages: list[list[Row]] = []

    def all_settled() -> bool:
        pages.append(node.scrape())
        return is_settled(pages[-1]) or bool(_NEVER.wait(0.5))

    with llama.serving(folder) as port, agent(folder, config=config(folder, llama_url(port))) as node:
        until(lambda: json.loads(node.get("/tokens.json", "application/json"))["models"], "the engine is known")
        with told_to(node.url.removeprefix("http://")):
            tenants, untold = asked(port, node)
            until(all_settled, "its requests are settled")
        assert node.stop() == 0
        yield Served(tenants, untold, pages, folder / "books", node.log)


@contextlib.contextmanager
def told_to(listen: str) -> Iterator[None]:
    """The agent that programs find meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATTLEDGER_AGENT_LISTEN", listen)
        yield
        client = _agent.agent()
        assert client is not None
        client.stop()


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


def model_row(front: Front, served: Served, *words: str) -> dict[str, Any]:
    said = front("report", "model", llama.ALIAS, "--ledger", str(served.books), "--json", *words)
    assert (said.status, said.err) == (0, "")
    [row] = json.loads(said.out)["rows"]
    return dict(row)


# --- the pages ------------------------------------------------------------------------------------------------------------------


def test_tenants_asked_for_the_tokens_that_they_were_told(served: Served) -> None:
    for name, tenant in served.tenants.items():
        assert len(tenant.calls) > 5
        told = tenant.told
        assert by_kind(served.last, ASKED, "prompt", "generated", tenant=name) == {k: told[k] for k in ("prompt", "generated")}
    cached = sum(tenant.told["cached"] for tenant in served.tenants.values())
    assert total(served.last, TOKENS, **MODEL, kind="cached") == cached


def test_what_no_record_told_of_is_unrecorded(served: Served) -> None:
    untold = {"prompt": served.untold.prompt, "generated": served.untold.generated}
    assert untold["generated"] > 0
    assert by_kind(served.last, ASKED, "prompt", "generated", tenant=UNRECORDED) == untold
    assert {labels["tenant"] for name, labels, _ in served.last if name == GOT} == set(TENANTS)


def test_requests_and_unrecorded_sum_to_prompt_and_generated_energy(served: Served) -> None:
    assert by_kind(served.last, GOT, "prompt", "generated") == by_kind(served.last, DIVIDED, "prompt", "generated", **MODEL)
    for tenant in TENANTS:
        assert total(served.last, GOT, tenant=tenant) > 0


def test_until_all_is_settled_requests_have_less_and_never_fall(served: Served) -> None:
    before: dict[str, Decimal] = {}
    for rows in served.pages:
        got, drawn = by_kind(rows, GOT, "prompt", "generated"), by_kind(rows, DIVIDED, "prompt", "generated", **MODEL)
        assert all(0 <= before.get(kind, 0) <= got[kind] <= drawn[kind] for kind in got)
        assert identity(rows)[0] == identity(rows)[1] > 0
        before = got


def test_a_call_has_its_provisional_energy_once_there_is_a_price(served: Served) -> None:
    for tenant in served.tenants.values():
        assert tenant.calls[0].state == "unknown"  # no token had been counted yet
        assert tenant.calls[0].energy_j is None
        last = tenant.calls[-1]
        assert last.state == "provisional"
        assert last.energy_j is not None
        assert 0 < last.energy_j.low <= last.energy_j.value <= last.energy_j.high
        assert last.emissions_g == pytest.approx(last.energy_j.value * G_PER_J)


def test_energy_is_written_on_the_program_s_spans(served: Served) -> None:
    red = served.tenants["red"]
    priced = [(call, said) for call, said in zip(red.calls, red.spans, strict=True) if call.energy_j is not None]
    assert priced
    for call, said in priced:
        assert said["wattledger.energy_j"] == call.energy_j.value if call.energy_j is not None else False
        assert said["wattledger.emissions_g"] == call.emissions_g
        assert said["wattledger.energy_state"] == "provisional"
        assert said["gen_ai.usage.output_tokens"] == call.generated_tokens
    assert all("wattledger.energy_j" not in said for said in red.spans[: len(red.spans) - len(priced)])


def test_provisional_energies_are_about_what_is_settled(served: Served) -> None:
    for name, tenant in served.tenants.items():
        priced = [(call.energy_j.value, call.generated_tokens or 0) for call in tenant.calls if call.energy_j is not None]
        each_j = sum(joules for joules, _ in priced) / sum(tokens for _, tokens in priced)
        settled_j = float(total(served.last, GOT, tenant=name)) / tenant.told["generated"]
        assert settled_j / 3 < each_j < settled_j * 3, "the prices were learnt only while they were asked for"


# --- the books ------------------------------------------------------------------------------------------------------------------


def test_the_report_has_joules_and_grams_by_kind_as_the_last_page_had(served: Served, front: Front) -> None:
    row = model_row(front, served)
    tokens, counted = row["tokens"], by_kind(served.last, TOKENS, "prompt", "cached", "generated", **MODEL)
    drawn = by_kind(served.last, DIVIDED, *KINDS, **MODEL)
    assert row["work"] == {f"{kind}_tokens": n for kind, n in counted.items()} | {"requests": 0}
    for kind in ("prompt", "generated"):  # nothing was asked after that page
        said = tokens[kind]
        assert said["energy_j"]["value"] == float(drawn[kind])
        assert said["tokens"] == counted[kind]
        assert said["energy_per_token_j"]["value"] == pytest.approx(float(drawn[kind] / counted[kind]))
        assert said["emissions_g_per_million"]["value"] == pytest.approx(float(drawn[kind] / counted[kind]) * 1e6 * G_PER_J)
        assert tokens[f"{kind}_per_s"] > 0
    assert 0 <= uj(tokens["standby"]["energy_j"]["value"]) - uj(drawn["standby"]) <= open_uj(served)
    assert tokens["mean_batch"] >= 1


def test_the_report_s_energy_is_the_last_page_s_and_the_open_interval(served: Served, front: Front) -> None:
    row = model_row(front, served)
    assert 0 <= row["energy_uj"] - page_uj(served, ENERGY, **MODEL) <= open_uj(served)
    kinds_uj = sum(uj(row["tokens"][kind]["energy_j"]["value"]) for kind in KINDS if kind in row["tokens"])
    assert row["tokens"]["divided_fraction"] == pytest.approx(kinds_uj / row["energy_uj"])
    assert row["energy_uj"] == uj(row["energy_j"]["value"])
    assert 0 <= row["energy_uj"] - kinds_uj <= open_uj(served)


def uj(joules: float | Decimal) -> int:
    """As it was before it was written as joules: whole."""
    return round(joules * UJ_PER_J)


def page_uj(served: Served, metric: str, **labels: str) -> int:
    return uj(total(served.last, metric, **labels))


def open_uj(served: Served) -> int:
    """What all devices drew after the last page."""
    drawn_uj = sum(found.fact.energy_uj for found in known(served.books) if isinstance(found.fact, EnergyFact))
    return drawn_uj - page_uj(served, DEVICE)


def test_the_report_by_tenant_is_the_last_page_s(served: Served, front: Front) -> None:
    shares = {share["tenant"]: share for share in model_row(front, served, "--by", "tenant")["by"]}
    assert shares.keys() == set(TENANTS)
    for name, share in shares.items():
        for kind in ("prompt", "generated"):
            assert share[kind]["energy_j"]["value"] == float(total(served.last, GOT, tenant=name, kind=kind))
            assert share[kind]["tokens"] == total(served.last, ASKED, tenant=name, kind=kind)
        grams = float(total(served.last, GOT, tenant=name)) * G_PER_J
        assert share["emissions_g"]["location_based"]["value"] == pytest.approx(grams)
    for name, tenant in served.tenants.items():
        assert shares[name]["requests"] == len(tenant.calls)
        assert shares[name]["cached_tokens"] == tenant.told["cached"]


def test_the_books_verify(served: Served, front: Front) -> None:
    said = front("ledger", "verify", "--ledger", str(served.books), "--json")
    assert (said.status, said.err) == (0, "")
    assert "Traceback" not in served.log


def test_explain_names_the_energy_that_an_allocation_divides(served: Served, front: Front) -> None:
    books = {found.id: found.fact for found in known(served.books)}
    windows = {id_: fact for id_, fact in books.items() if isinstance(fact, AllocationFact) and not fact.request}
    assert windows
    named: Counter[str] = Counter()
    for id_, fact in windows.items():
        said = json.loads(front("explain", id_, "--ledger", str(served.books), "--json").out)
        energies = [books[each] for each in said["divides"]["energy_facts"]]
        assert said["divides"]["energy_uj"] == sum(each.energy_uj for each in energies if isinstance(each, EnergyFact)) > 0
        for each in energies:
            assert isinstance(each, EnergyFact)
            assert (each.start_s, each.length_s) == (fact.start_s, fact.length_s)
            assert each.key._replace(device="", device_model="", use="") == fact.key
        if "work" in said:  # a minute with nothing to do has none
            works = [books[each] for each in said["work"]["facts"]]
            assert said["work"]["generated_tokens"] == sum(each.generated_tokens for each in works if isinstance(each, WorkFact))
        named.update(said["divides"]["energy_facts"])
    assert set(named.values()) == {1}, "no energy is divided twice"
    mine = {id_: fact for id_, fact in books.items() if isinstance(fact, EnergyFact) and fact.key.model == llama.ALIAS}
    assert sum(fact.energy_uj for id_, fact in mine.items() if id_ not in named) <= open_uj(served)


def test_explain_names_the_windows_that_a_request_is_a_part_of(served: Served, front: Front) -> None:
    books = {found.id: found for found in known(served.books)}
    found = max(books.values(), key=_request_uj)
    assert isinstance(found.fact, AllocationFact)
    said = json.loads(front("explain", found.id, "--ledger", str(served.books), "--json").out)
    assert said["part_of"]["facts"]
    assert all(isinstance(books[each].fact, AllocationFact) for each in said["part_of"]["facts"])
    assert said["part_of"]["fraction"] == pytest.approx(_request_uj(found) / said["part_of"]["energy_uj"])
    person = front("explain", found.id, "--ledger", str(served.books)).out
    assert f"to request {found.fact.request} in " in person
    assert all(each in person for each in said["part_of"]["facts"][:1])


def _request_uj(found: Known) -> int:
    fact = found.fact
    return fact.prompt_uj + fact.generated_uj if isinstance(fact, AllocationFact) and fact.request else -1
