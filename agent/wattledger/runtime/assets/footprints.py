"""The file of the user's own figures of embodied carbon that [embodied] footprints names."""

from functools import lru_cache
from pathlib import Path

from wattledger.factors.hardware.figure import Embodied

LARGEST_BYTES = 4_000_000


def own_figures(path: str) -> tuple[Embodied, ...]:
    """Its figures, read once for as long as the file stays as it is; none where ``path`` is empty.

    CSV or a JSON list (``factors.hardware.footprints``), or one PACT v3 product footprint.  Raises ValueError, a line for each
    mistake.
    """
    if not path:
        return ()
    file = Path(path).expanduser()
    try:
        state = file.stat()
    except (OSError, ValueError) as wrong:
        raise ValueError(f"{path}: cannot be read: {getattr(wrong, 'strerror', None) or 'no such name'}") from None
    return _read(file, path, state.st_mtime_ns, state.st_size)


def first_line(wrong: ValueError) -> str:
    """What is said of a wrong file where there is room for a line."""
    line, *more = str(wrong).splitlines()
    return f"{line} (and {len(more)} more)" if more else line


@lru_cache(maxsize=2)
def _read(file: Path, name: str, _mtime_ns: int, size: int) -> tuple[Embodied, ...]:
    from wattledger.factors.hardware import footprints

    if size > LARGEST_BYTES:
        raise ValueError(f"{name}: is longer than {LARGEST_BYTES} bytes")
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as wrong:
        raise ValueError(f"{name}: cannot be read: {wrong.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{name}: is no text in UTF-8") from None
    if file.suffix.casefold() != ".json":
        return footprints.read(text, "csv", name)
    if text.removeprefix("\ufeff").lstrip().startswith("{"):
        from wattledger.accounting.assets import pact

        return (pact.read(text, name, pact.Thing(kind="accelerator")).embodied,)
    return footprints.read(text, "json", name)
