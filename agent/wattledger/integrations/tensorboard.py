"""TensorBoard: a training's metrics as scalars (``reporter``), a footprint as scalars and a text.

Works with every writer that has ``add_scalar`` and ``add_text``: ``torch.utils.tensorboard``, ``tensorboardX``.  It is yours, we do
not close it.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from wattledger import Footprint
from wattledger.integrations._flat import metrics_of


class Writer(Protocol):
    """What we need of a ``SummaryWriter``."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> object:
        """One point of a curve."""

    def add_text(self, tag: str, text_string: str, global_step: int) -> object:
        """A text, shown as Markdown."""


def reporter(writer: Writer) -> Callable[[Mapping[str, float], int], None]:
    """A training's metrics to the writer, at the training's own steps."""

    def report(metrics: Mapping[str, float], step: int) -> None:
        for name, value in metrics.items():
            writer.add_scalar(name, value, step)

    return report


def log_footprint(writer: Writer, footprint: Footprint, step: int = 0) -> None:
    """A footprint's metrics, and its model-card section as a text."""
    reporter(writer)(metrics_of(footprint), step)
    writer.add_text("wattledger/footprint", footprint.to_model_card(), step)
