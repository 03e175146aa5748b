"""What dlt finds out about a destination again and again, found out once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlt.common.destination import Destination

if TYPE_CHECKING:
    from dlt.common.destination import DestinationCapabilitiesContext
    from dlt.common.normalizers.naming import NamingConvention


class ResolvedOnce(Destination[Any, Any]):
    """A dlt destination that remembers its configuration and its capabilities.

    dlt asks for both dozens of times in a run, and looks up every setting each time: a quarter of a run that finds
    nothing new.
    """

    _configurations: dict[str, Any] | None = None
    _capabilities: dict[str | None, DestinationCapabilitiesContext] | None = None

    def configuration(self, initial_config: Any, accept_partial: bool = False) -> Any:
        """The resolved configuration, as dlt's own method gives it: one object for all that begin alike."""
        if accept_partial or initial_config is None or initial_config.is_resolved():
            return super().configuration(initial_config, accept_partial)
        self._configurations = self._configurations or {}
        beginning = repr(dict(initial_config))
        if beginning not in self._configurations:
            self._configurations[beginning] = super().configuration(initial_config)
        return self._configurations[beginning]

    def capabilities(
        self, config: Any = None, naming: NamingConvention | None = None
    ) -> DestinationCapabilitiesContext:
        """The capabilities, as dlt's own method gives them; a copy, because dlt changes them."""
        if config is not None:
            return super().capabilities(config, naming)
        self._capabilities = self._capabilities or {}
        name = naming.name() if naming else None
        if name not in self._capabilities:
            self._capabilities[name] = super().capabilities(None, naming)
        return self._capabilities[name].copy()
