"""Which calls a list is cut from."""

from typing import NamedTuple

from gong_source.simulator.call import Rule
from gong_source.simulator.phrases import draw


class View(NamedTuple):
    """Which calls a list is cut from: filed by `rule`, in one workspace or all, as far as the key sees."""

    rule: Rule
    workspace_id: str | None = None
    visible_share: float = 1.0
    pending_only: bool = False

    def admits(self, number: int) -> bool:
        """Return whether the key sees the call with that id."""
        return self.visible_share >= 1 or draw(1, number) < self.visible_share * 2**64
