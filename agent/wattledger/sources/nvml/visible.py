"""Which GPUs are ours: what CUDA_VISIBLE_DEVICES and NVIDIA_VISIBLE_DEVICES mean, without asking CUDA.
 A variable that is read wrongly means 0 J: CodeCarbon 3.3 finds no GPU for ``GPU-<uuid>`` and ``MIG-…`` (peers.md
section 2).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

ASSUMED_ORDER = "GPUs of several models: CUDA_VISIBLE_DEVICES was read in PCI order; set CUDA_DEVICE_ORDER=PCI_BUS_ID"

ParentOf = Callable[[str], str | None]


class Card(NamedTuple):
    """A GPU as NVML lists it; NVML lists in PCI order."""

    uuid: str
    name: str


class Choice(NamedTuple):
    """The GPUs that are ours, in the order of the list given, and what had to be assumed."""

    cards: list[Card]
    notes: tuple[str, ...]


def choose(cards: Sequence[Card], environ: Mapping[str, str], parent_of: ParentOf) -> Choice:
    """Apply both variables; ``parent_of`` names the GPU of a MIG device."""
    cards = _container(cards, environ.get("NVIDIA_VISIBLE_DEVICES"), parent_of)
    listed = environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return Choice(list(cards), ())
    chosen = _cuda(cards, listed, parent_of)
    # CUDA's default order puts the fastest GPU first, by a measure that NVML does not know.  Among equal GPUs that is
    # PCI order; among different ones an index is ambiguous, and we assume PCI order and say so.
    by_index = any(token.strip().isdigit() for token in listed.split(","))
    told = environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    ambiguous = by_index and not told and len({card.name for card in cards}) > 1
    return Choice(chosen, (ASSUMED_ORDER,) if ambiguous else ())


def _cuda(cards: Sequence[Card], listed: str, parent_of: ParentOf) -> list[Card]:
    """CUDA's own reading: the first word that names no device ends the list, so that an empty one, ``-1`` or a typo
    hides what follows.  Two slices of one GPU are one GPU."""
    chosen: list[Card] = []
    for word in listed.split(","):
        card = _named(cards, word.strip(), parent_of)
        if card is None:
            break
        if card not in chosen:
            chosen.append(card)
    return chosen


def _container(cards: Sequence[Card], listed: str | None, parent_of: ParentOf) -> Sequence[Card]:
    """The container runtime's wish, where nobody has granted it yet.

    Where the runtime obeyed, NVML shows only the GPUs granted and the words are the host's names for them, so there
    is nothing left to restrict.  It restricts where more is shown than was asked for (a privileged
    container).  ``all``, ``none``, ``void`` and the empty word tell nothing: device plugins set ``void`` and hand the
    GPUs in by another door.
    """
    words = [word.strip() for word in (listed or "").split(",")]
    if words[0] in ("", "all", "none", "void") or len(cards) <= len(words):
        return cards
    # ``0:1`` is slice 1 of GPU 0.
    named = [_named(cards, word.split(":")[0], parent_of) for word in words]
    kept = [card for card in cards if card in named]
    return kept or cards


def _named(cards: Sequence[Card], word: str, parent_of: ParentOf) -> Card | None:
    """The GPU that a word names: an index, a UUID or an unambiguous beginning of one, a MIG device (its GPU)."""
    if word.isascii() and word.isdigit():
        return cards[int(word)] if int(word) < len(cards) else None
    if word.startswith("MIG-GPU-"):
        # The old form carries its GPU: MIG-<GPU UUID>/<GPU instance>/<compute instance>.
        word = word.removeprefix("MIG-").split("/")[0]
    elif word.startswith("MIG-"):
        word = parent_of(word) or ""
    if not word.startswith("GPU-"):
        return None
    matches = [card for card in cards if card.uuid.lower().startswith(word.lower())]
    return matches[0] if len(matches) == 1 else None
