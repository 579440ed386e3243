"""The evidence pack of a report: all that an auditor needs to work it out again, in one piece of plain data.

Schema ``wattledger.evidence/1`` (carbon.md 1.7): a summary, the question as a command, the answer and its hash, the books' heads,
a trial balance, the factor register, what was left out and how large it may be, reconciliation, methods, instruments,
uncertainty.  No clock: equal facts give equal bytes.  Exact figures are ints, or text ``"p/q"`` where a window was cut, with a
float beside it (``…_about``); what is not known is absent.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from wattledger.accounting import (
    evidence_balance,
    evidence_books,
    evidence_factors,
    evidence_gaps,
    evidence_machines,
    evidence_register,
    evidence_summary,
)
from wattledger.accounting.evidence_machines import Machines
from wattledger.accounting.evidence_question import ALONE, Told, question
from wattledger.accounting.explain_rows import SCHEMA as EXPLAIN_SCHEMA
from wattledger.accounting.report_ask import Ask, Rules, of_day
from wattledger.accounting.report_coverage import Coverage, coverage
from wattledger.accounting.report_rows import SCHEMA as REPORT_SCHEMA
from wattledger.accounting.report_sums import Sums
from wattledger.accounting.reports import Counted, count
from wattledger.core.version import __version__
from wattledger.ledger import query
from wattledger.ledger.books import Books
from wattledger.ledger.query import Scope

SCHEMA = "wattledger.evidence/1"
AS_ASKED = ("answer", "question", "summary")  # words and figures of others, which stay as they are


def pinned(ask: Ask, books: Books) -> Ask:
    """The question as of the last fact in the books, where it says no time: asked again of longer books, it is the same."""
    return ask if ask.as_of_s is not None else ask._replace(as_of_s=books.last_s)


def pack(books: Books, ask: Ask, rules: Rules | None, found: Mapping[str, Any], *, told: Told = ALONE) -> dict[str, Any]:
    """The pack of an answer ``found`` (a report's JSON) to a ``pinned`` question; ``told``: how the command was.

    Raises LedgerError, and ValueError where the question was not pinned.
    """
    rules, ask = rules or Rules(), of_day(ask)
    if ask.as_of_s is None and books.last_s is not None:
        raise ValueError("evidence is of a time: pin the question first")
    kind = ask.kind if ask.kind in query.GROUPS else "host"
    scope = Scope(kind, ask.name if kind == ask.kind else None, ask.from_s, ask.to_s)
    covered = _coverage(books, scope, rules)
    machines = Machines(books, ask, rules) if rules.embodied else None
    # The books are counted with prices apart last: the table of slots is one.
    balance = evidence_balance.balance(books, ask, rules)
    counted = count(books, scope, ask._replace(kind=kind, by=None), rules, apart=True)
    mine = _sums(counted)
    asked = question(ask, rules, told)
    said: dict[str, Any] = {"schema": SCHEMA, "summary": [], "question": asked}
    said |= {"answer": dict(found), "answer_sha256": digest(found)}
    said["books"] = [head._asdict() for head in evidence_books.heads(books, ask.as_of_s)]
    said["trial_balance"] = evidence_balance.to_dict(balance) | ({"embodied": machines.balance()} if machines else {})
    said["reconciliation"] = list(evidence_balance.reconciled(balance))
    made = machines.register() if machines else ()
    said["factors"] = [*evidence_factors.register(counted, mine), *evidence_machines.water_register(counted, rules), *made]
    left_out = list(machines.exclusions()) if machines else [evidence_machines.left_out()]
    said["exclusions"] = [*evidence_gaps.exclusions(books, balance, covered, ask), *left_out]
    said["gaps"] = {
        "facts": evidence_gaps.gaps(books.holding, ask), "fills": evidence_gaps.FILLS, "stands_on": evidence_gaps.filled(mine),
    }  # fmt: skip
    said["controls"] = evidence_register.controls(books, covered)
    said["methods"] = _methods(books, ask, found)
    said["instruments"] = evidence_register.instruments(books, ask.as_of_s)
    said["uncertainty"] = list(evidence_register.UNCERTAINTY)
    said["notes"] = list(found.get("notes", ()))
    said["summary"] = evidence_summary.lines(said, left_out if ask.kind == "embodied" else said["exclusions"])
    return {name: value if name in AS_ASKED else evidence_summary.rounded(value) for name, value in said.items()}


def digest(found: Mapping[str, Any]) -> str:
    """The SHA-256 of an answer as ``--json`` prints it, its line's end included: of the re-run command's whole output."""
    return sha256(f"{json.dumps(found, ensure_ascii=False)}\n".encode("utf-8", "surrogateescape")).hexdigest()


def _sums(counted: Counted) -> Sums:
    whole = Sums()
    for row in counted.rows:
        whole.add(row, counted.slots.combos[row.combo])
    return whole


def _coverage(books: Books, scope: Scope, rules: Rules) -> Coverage | None:
    """Of all devices of the time: whoever is asked of, what was not seen of any device may have been theirs."""
    whole = Scope("host", None, scope.from_s, scope.to_s)
    if query.rows(books.connection, whole) > rules.coverage_rows:
        return None
    return coverage(query.seen(books.connection, whole), books.holding, scope.from_s, scope.to_s)


def _methods(books: Books, ask: Ask, found: Mapping[str, Any]) -> dict[str, Any]:
    """Which versions said all this, and what was changed since it was first said."""
    schemas = {"answer": found.get("schema", REPORT_SCHEMA), "evidence": SCHEMA, "explain": EXPLAIN_SCHEMA}
    said: dict[str, Any] = {"version": __version__, "schemas": schemas, "tables": evidence_factors.tables()}
    said |= {"metered_by": evidence_books.versions(books.holding), "corrections": evidence_books.corrections(books, ask.as_of_s)}
    return said | {"changes": f"CHANGELOG.md of wattledger {__version__}"}
