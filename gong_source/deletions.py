"""When records that Gong no longer lists may be marked as deleted.

Gong deletes without a trace, and a key that lost its visibility looks the same. So a person has to confirm when many
records are missing at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gong_source.resources.declare import Resource

# Fewer missing records than this are never too many.
_FEW = 10


def too_many_missing(missing: int, stored: int, share: float) -> bool:
    """Whether `missing` of `stored` records are more than `share` of them, and more than a few."""
    return missing >= _FEW and missing > share * stored


def refusal(resource: Resource, missing: int, stored: int, where: str = "") -> str:
    """Says why none of the missing records was marked as deleted, and what to do; `where` names the windows."""
    return (
        f"Gong no longer lists {missing:,} of {resource.count(stored)}{where}. None was marked as deleted, because a"
        " key that lost its visibility looks the same. Check the key's owner and scope (gong-source check). If the"
        f" {resource.many} are really deleted, run gong-source verify --repair --accept-deletions"
    )
