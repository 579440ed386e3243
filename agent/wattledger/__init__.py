"""wattledger meters the energy of AI work, says whom each joule worked for, and prices it in carbon.

The public API and nothing else: ``track``, ``Run``, ``Footprint``, ``Quantity``, ``__version__``.
"""

from typing import TYPE_CHECKING, Any

from wattledger.core.version import __version__
from wattledger.track import Run, track

if TYPE_CHECKING:
    from wattledger.core.footprint import Footprint
    from wattledger.core.uncertainty import Quantity

__all__ = ["Footprint", "Quantity", "Run", "__version__", "track"]


def __getattr__(name: str) -> Any:
    # The two value types come from core, which loads at the first span, not with the import.
    if name == "Footprint":
        from wattledger.core.footprint import Footprint

        return Footprint
    if name == "Quantity":
        from wattledger.core.uncertainty import Quantity

        return Quantity
    raise AttributeError(f"module 'wattledger' has no attribute {name!r}")
