"""What another party shows through the hub, as OCPI spells it: repaired, its content untouched.

What cannot be repaired goes on as it came: the reader asked for the other party's own words.
"""

from typing import Any

from hub.ocpi import types
from hub.ocpi.errors import Invalid
from parties import quirks, repairs
from parties.models import Platform

KINDS: dict[str, tuple[Any, ...]] = {
    "locations": (types.Location, types.EVSE, types.Connector),
    "tariffs": (types.Tariff,),
    "tokens": (types.Token,),
    "sessions": (types.Session,),
    "cdrs": (types.CDR,),
}


def tidied(module: str, data: Any, platform: Platform) -> Any:
    """Return an object, or a list of them, that a platform has shown."""
    if isinstance(data, list):
        return [tidied(module, item, platform) for item in data]
    if not isinstance(data, dict) or module not in KINDS:
        return data
    try:
        return mended(repairs.closest(KINDS[module], data), data, platform)
    except Invalid:
        return data


def mended(kind: Any, body: Any, platform: Platform) -> Any:
    """Return what a platform has sent after it passed as a wire type; repairs are noted.

    Raises Invalid.
    """
    found = repairs.accepted(kind, body, strict=platform.strict)
    if found.made:
        quirks.note(platform.pk, found.quirks)
    return found.body
