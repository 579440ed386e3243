"""Loops that are written by hand."""

from collections.abc import Mapping

import pytest
from tests.integrations.work import burn

from wattledger import track
from wattledger.integrations.pytorch import iterate

BATCHES = [[1, 2, 3], [4, 5], [6]]


def test_every_batch_of_every_epoch_is_given_in_order() -> None:
    loop = iterate(BATCHES, epochs=2, job="plain")
    assert list(loop) == [(epoch, batch) for epoch in range(2) for batch in BATCHES]
    assert not loop.training.is_open


def test_each_epoch_is_told_and_the_footprint_is_final() -> None:
    told: list[tuple[int, Mapping[str, float]]] = []
    run = iterate(BATCHES, epochs=2, job="plain", tokens=len, report_to=[lambda metrics, step: told.append((step, metrics))])
    for _epoch, _batch in run:
        burn(0.02)
    assert [step for step, _ in told] == [3, 6]
    assert run.metrics == told[-1][1]
    assert all(metrics["wattledger/epoch_energy_j"] > 0 for _, metrics in told)
    assert run.footprint is not None
    assert run.footprint.identity.job == "plain"
    assert run.footprint.work["prompt_tokens"] == 12
    assert run.footprint is run.footprint


def test_an_evaluation_within_the_loop_is_apart() -> None:
    run = iterate(range(2), epochs=1)
    for _ in run:
        burn(0.03)
        with run.evaluation():
            burn(0.1)
    assert 0 < run.metrics["wattledger/epoch_energy_j"] < run.metrics["wattledger/eval_energy_j"]


def test_a_break_and_an_exception_end_the_run() -> None:
    run = iterate(range(5))
    for _, batch in run:
        if batch == 2:
            break
    assert run.training.steps == 2
    assert not run.training.is_open
    run = iterate(range(5))

    def train() -> None:
        for _, batch in run:
            1 / batch

    with pytest.raises(ZeroDivisionError):
        train()
    assert not run.training.is_open


def test_a_run_around_it_holds_it() -> None:
    with track(job="whole") as whole:
        run = iterate(range(2), job="part")
        for _ in run:
            burn(0.05)
    assert run.training.run is not None
    assert run.training.run.parent is whole


def test_a_torch_loader_trains_as_without_it() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    loader = torch.utils.data.DataLoader(torch.arange(8.0).reshape(4, 2), batch_size=2)
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    run = iterate(loader, epochs=2, model="linear", tokens=torch.numel)
    for _, batch in run:
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()
    assert (run.training.steps, run.training.tokens) == (4, 16)
    assert run.footprint is not None
    assert run.footprint.identity.model == "linear"
