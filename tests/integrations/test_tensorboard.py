"""TensorBoard's files hold the metrics at their steps, and the footprint as a text."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.core.metered import GRID, footprint, two_seconds

from wattledger.integrations.tensorboard import log_footprint, reporter


def _x(folder: Path) -> Any:
    tensorboardx = pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    return tensorboardx.SummaryWriter(str(folder))


def _torch(folder: Path) -> Any:
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))


@pytest.mark.parametrize("made", [_x, _torch])
def test_what_a_training_reports_stands_at_its_steps(made: Callable[[Path], Any], tmp_path: Path) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    run = footprint(two_seconds(), factors={"grid": GRID})
    with made(tmp_path) as writer:
        report = reporter(writer)
        report({"wattledger/epoch_energy_j": 10.0}, 5)
        report({"wattledger/epoch_energy_j": 20.0}, 10)
        log_footprint(writer, run, 10)
    seen = accumulator.EventAccumulator(str(tmp_path))
    seen.Reload()
    assert [(event.step, event.value) for event in seen.Scalars("wattledger/epoch_energy_j")] == [(5, 10.0), (10, 20.0)]
    [energy] = seen.Scalars("wattledger/energy_j")
    assert (energy.step, energy.value) == (10, pytest.approx(1075))
    [text] = seen.Tensors("wattledger/footprint/text_summary")
    assert text.tensor_proto.string_val[0].decode() == run.to_model_card()
