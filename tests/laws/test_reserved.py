"""The time of a machine is handed out once: no hour of its life is lost, made or counted twice, whatever the machine did."""

import pytest
from hypothesis import given
from tests.laws.histories import GPU, World, worlds

from wattledger.core.model import Factor
from wattledger.core.pipeline import Pipeline
from wattledger.core.reserved import HOST, NS_PER_H

RATE_G_PER_H = 3600.0  # a gram a second


def rate(binding: str) -> Factor:
    return Factor("embodied", binding, RATE_G_PER_H, "gCO2e/h", "cradle-to-gate", "law", "1", "pcf", 1.5)


@given(worlds)
def test_the_grams_of_all_workloads_are_the_hosts_time(world: World) -> None:
    pipeline = Pipeline()
    pipeline._price(rate(HOST))
    seen_ns, opened_ns, before_uj = 0, None, 0
    for batch in world.batches:
        opened_ns = batch.at.mono_ns if opened_ns is None else opened_ns
        pipeline.step(batch)
        if batch.full:
            handed_uj = sum(pipeline.totals.energy_uj.values())
            # A cell in which nothing was drawn is nobody's time.
            seen_ns += batch.at.mono_ns - opened_ns if handed_uj > before_uj else 0
            opened_ns, before_uj = batch.at.mono_ns, handed_uj
    assert sum(pipeline.totals.embodied_g.values()) == pytest.approx(seen_ns * RATE_G_PER_H / NS_PER_H, rel=1e-9, abs=1e-12)
    assert all(grams >= 0 for grams in pipeline.totals.embodied_g.values())


@given(worlds)
def test_no_span_reserves_a_device_for_longer_than_it_lasted(world: World) -> None:
    pipeline = Pipeline()
    for batch in world.batches:
        for account in pipeline.step(batch).settled:
            assert account.left is not None
            length_ns = account.left.mono_ns - account.entered.mono_ns
            assert account.reserved_ns.get(HOST, 0.0) <= length_ns + 1
            assert all(ns >= 0 for ns in account.reserved_ns.values())


@given(worlds)
def test_rates_change_no_joule(world: World) -> None:
    plain, rated = Pipeline(), Pipeline()
    for binding in (HOST, GPU.id):
        rated._price(rate(binding))
    for batch in world.batches:
        plain.step(batch)
        rated.step(batch)
    assert plain.totals.energy_uj == rated.totals.energy_uj
    assert plain.totals.embodied_g == {}
