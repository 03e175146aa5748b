"""What a dlt destination can do, found out once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlt.common.destination import Destination

if TYPE_CHECKING:
    from dlt.common.destination import DestinationCapabilitiesContext
    from dlt.common.normalizers.naming import NamingConvention


class CapabilitiesOnce(Destination[Any, Any]):
    """A dlt destination that remembers its capabilities.

    dlt asks for them twenty times in a run, and resolves the whole configuration each time: a fifth of a run that finds
    nothing new.
    """

    _remembered: dict[str | None, DestinationCapabilitiesContext] | None = None

    def capabilities(
        self, config: Any = None, naming: NamingConvention | None = None
    ) -> DestinationCapabilitiesContext:
        """The capabilities, as dlt's own method gives them; a copy, because dlt changes them."""
        if config is not None:
            return super().capabilities(config, naming)
        self._remembered = self._remembered or {}
        name = naming.name() if naming else None
        if name not in self._remembered:
            self._remembered[name] = super().capabilities(None, naming)
        return self._remembered[name].copy()
