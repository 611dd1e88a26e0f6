"""The wire types of OCPI 2.2.1: every object with its fields in the order of the specification.

They are the one source for validation (see `validation.py`): a field's presence, type, length and
allowed values are read from here. One file per module of the specification; within a file, what an
object is made of comes before it. Lengths follow the errata of May 2026 (address 255, state 45);
a coordinate may be as long as its pattern, one more than the length given beside it.

What partners write differently (an alias of an enumeration, a result in an envelope, one text for
a list of texts) is not met here: that belongs to the views that take it in.
"""

# ruff: noqa: F403

from hub.ocpi.types.basic import *
from hub.ocpi.types.cdrs import *
from hub.ocpi.types.charging_profiles import *
from hub.ocpi.types.commands import *
from hub.ocpi.types.credentials import *
from hub.ocpi.types.enums import *
from hub.ocpi.types.hub_client_info import *
from hub.ocpi.types.locations import *
from hub.ocpi.types.sessions import *
from hub.ocpi.types.tariffs import *
from hub.ocpi.types.tokens import *
from hub.ocpi.types.versions import *
