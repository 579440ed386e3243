"""An object that stands before another and passes everything on, so that nothing of the user's library is patched."""

from typing import Any


class Proxy:
    """Every attribute is the other's, to be read and to be set, and so is the class; own names begin with ``_wl_``.

    State: what it stands before, never changed.
    """

    __slots__ = ("__weakref__", "_wl_target")

    def __init__(self, target: Any) -> None:
        object.__setattr__(self, "_wl_target", target)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_wl_"):  # a copy that was made without __init__ asks for its own
            raise AttributeError(name)
        return getattr(self._wl_target, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._wl_target, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._wl_target, name)

    def __dir__(self) -> list[str]:
        return dir(self._wl_target)

    def __repr__(self) -> str:
        return repr(self._wl_target)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._wl_target)
