"""Bodies: one text for one fact, and the fact again from the text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.made import NOON_S, asked, divided, energy, key, work

from wattledger.core.facts import (
    AllocationFact,
    AssetFact,
    ContractFact,
    Correction,
    EnergyFact,
    Fact,
    GapFact,
    IntensityFact,
    Key,
    Known,
    PurchaseFact,
    RunFact,
    WorkFact,
)
from wattledger.ledger.body import BadBody, KeyBody, Keyed, canonical, day_of, decode, decode_key, encode, encode_key

text = st.text(max_size=8)
pairs = st.lists(st.tuples(text, text), max_size=3).map(tuple)
n = st.integers(0, 2**62)
maybe = st.none() | n
keys = st.builds(Key, text, text, text, n, text, text, text, text, text, text, text, text, pairs)
facts = st.one_of(
    st.builds(EnergyFact, keys, n, n, n, n, n),
    st.builds(WorkFact, keys, n, n, n, n, n, n, n),
    st.builds(AllocationFact, keys, n, n, n, n, n, n, n, st.booleans(), text, text, n, n, n),
    st.builds(
        IntensityFact, text, n, n, n, text, st.sampled_from(["average", "marginal"]), text, text, st.booleans(), st.booleans(),
    ),
    st.builds(
        ContractFact, text, st.sampled_from(["eac", "ppa", "supplier"]), st.lists(text).map(tuple), n, n, st.none() | n, n,
        st.lists(st.tuples(text, st.sampled_from(["pass", "fail"]), text), max_size=2).map(tuple), text, text, text, text,
    ),
    st.builds(GapFact, text, text, text, n, n, text),
    st.builds(AssetFact, text, text, n, st.none() | n, text, text, pairs),
    st.builds(PurchaseFact, text, text, n, n, text, maybe, maybe, maybe, maybe, maybe, text),
    st.builds(
        RunFact, st.sampled_from(["began", "ended"]), text, text, n, text, text, text, text, pairs, text, text, text,
        st.none() | st.integers(-9, 9), pairs, st.none() | n,
    ),
)  # fmt: skip


@given(facts, n)
def test_a_fact_comes_back_from_its_body(fact: Fact, recorded_s: int) -> None:
    of = fact.key if isinstance(fact, Keyed) else key()
    body = encode(fact, recorded_s, 3)
    assert decode(json.loads(body), "w:1", {3: of}) == Known("w:1", recorded_s, fact)


@given(facts, text)
def test_a_correction_comes_back_from_its_body(fact: Fact, reason: str) -> None:
    of = fact.key if isinstance(fact, Keyed) else key()
    body = encode(Correction("w:1", reason, fact), NOON_S, 3)
    assert decode(json.loads(body), "w:2", {3: of}) == Known("w:2", NOON_S, fact, "w:1", reason)


@given(facts)
def test_a_body_is_canonical(fact: Fact) -> None:
    body = encode(fact, NOON_S, 3)
    assert body == canonical(json.loads(body))


@given(keys, n)
def test_a_key_comes_back_from_its_body(of: Key, recorded_s: int) -> None:
    body = encode_key(7, of, recorded_s)
    assert body == canonical(json.loads(body))
    assert decode_key(json.loads(body)) == KeyBody(7, of, recorded_s)


def test_what_is_at_its_default_is_left_out() -> None:
    assert encode(energy(uj=5), NOON_S, 1) == (
        f'{{"energy_uj":5,"fact":"energy","key":1,"length_s":60,"recorded_s":{NOON_S},"seen_ms":60000,"start_s":{NOON_S}}}'
    )
    said = f'{{"fact":"key","host":"h","meter":"agent:é","number":1,"recorded_s":{NOON_S}}}'
    assert encode_key(1, Key("agent:é", "h"), NOON_S) == said


def test_old_facts_keep_their_bytes_now_that_there_are_steps_and_allocations() -> None:
    """They are hashed: another byte, and no older chain would hold."""
    assert encode(work(), NOON_S, 1) == (
        f'{{"fact":"work","generated_tokens":64,"key":1,"length_s":60,"prompt_tokens":812,"recorded_s":{NOON_S},"requests":1,'
        f'"start_s":{NOON_S}}}'
    )
    assert encode(work()._replace(steps=9), NOON_S, 1).endswith(f'"start_s":{NOON_S},"steps":9}}')


def test_an_allocation_says_what_is_not_zero() -> None:
    assert encode(divided(5, 7, weak=True), NOON_S, 1) == (
        f'{{"fact":"allocation","generated_uj":7,"key":1,"length_s":60,"prompt_uj":5,"recorded_s":{NOON_S},"start_s":{NOON_S},'
        '"weak":true}'
    )
    assert encode(asked("r-1", 5, tenant="t"), NOON_S, 2) == (
        f'{{"fact":"allocation","generated_tokens":20,"key":2,"length_s":2,"prompt_tokens":10,"prompt_uj":5,"recorded_s":{NOON_S},'
        f'"request":"r-1","start_s":{NOON_S},"tenant":"t"}}'
    )


def test_a_withdrawal_is_no_fact() -> None:
    body = encode(Correction("w:1", "doubled"), NOON_S)
    assert json.loads(body)["corrects"] == "w:1"
    assert decode(json.loads(body), "w:2", {}) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fact": "joule"}, "no fact is called 'joule'"),
        ({"key": 9}, "not a fact of kind work"),
        ({"recorded_s": None}, "not a fact of kind work"),
        ({"recorded_s": "soon"}, "not a fact of kind work"),
    ],
)
def test_what_is_no_fact_is_told_in_one_line(change: dict[str, object], words: str) -> None:
    found = json.loads(encode(work(), NOON_S, 1)) | change
    with pytest.raises(BadBody, match=words):
        decode(found, "w:1", {1: work().key})


@pytest.mark.parametrize("missing", ["start_s", "length_s", "seen_ms", "energy_uj", "recorded_s", "key", "fact"])
def test_a_fact_without_one_of_its_fields_is_none(missing: str) -> None:
    found = json.loads(encode(energy(), NOON_S, 1))
    del found[missing]
    with pytest.raises(BadBody):
        decode(found, "w:1", {1: key()})


def test_days_are_cut_at_midnight_utc() -> None:
    assert [day_of(at_s) for at_s in (0, 86_399, 86_400, 1_709_164_800)] == ["1970-01-01", "1970-01-01", "1970-01-02", "2024-02-29"]
