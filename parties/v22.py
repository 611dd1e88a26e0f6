"""The quick-start dialect: the simplified calls of the onboarding guide, made valid 2.2.1.

Values are derived, never invented, and every repair is told in the answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hub.ocpi import times
from hub.ocpi.errors import Invalid
from hub.ocpi.messages import Address
from parties.models import Dialect, Platform


@dataclass
class Draft:
    """A body on its way to valid 2.2.1, with the repairs made and what could not be derived.

    `raw` is the body as the partner sent it.
    """

    body: dict[str, Any]
    raw: Any = None
    repairs: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)

    def fill(self, name: str, value: Any) -> None:
        """Set a member that is absent."""
        if self.body.get(name) in (None, "") and value is not None:
            self.body[name] = value
            self.repairs.append(name)

    def rename(self, old: str, new: str) -> None:
        """Move a member to its 2.2.1 name; both with different values contradict each other."""
        if old not in self.body:
            return
        value = self.body.pop(old)
        if self.body.get(new) not in (None, value):
            raise Invalid(f"{old} and {new} contradict each other")
        self.body[new] = value
        self.repairs.append(f"{old} as {new}")

    @property
    def message(self) -> str:
        """Return what happened to the object, in one line."""
        told = f"Accepted; normalised: {', '.join(self.repairs)}" if self.repairs else "Success"
        lacking = f"{told}; incomplete: {', '.join(self.lacking)}" if self.lacking else told
        return lacking[:500]


def draft(body: Any, owner: Address, uid: str, received: datetime) -> Draft:
    """Begin a draft: the owner, the id of the URL and the time of receipt where they are absent."""
    if not isinstance(body, dict):
        raise Invalid("a JSON object is expected")
    found = Draft(dict(body), body)
    found.fill("country_code", owner.country_code)
    found.fill("party_id", owner.party_id)
    found.fill("id", uid)
    found.fill("last_updated", times.render(received))
    return found


def credentials(platform: Platform, body: Any) -> Any:
    """Return credentials as valid 2.2.1: ids that are left out come from the invitation.

    On any other than a quick-start connection the body stays as it is.
    """
    if platform.dialect != Dialect.QUICKSTART or not isinstance(body, dict):
        return body
    roles = body.get("roles")
    if not isinstance(roles, list):
        return body
    return {**body, "roles": [_role(platform, role) for role in roles]}


def _role(platform: Platform, role: Any) -> Any:
    if not isinstance(role, Mapping) or role.get("party_id") or role.get("country_code"):
        return role
    fitting = list(platform.roles.select_related("party").filter(role=role.get("role")))
    if len(fitting) != 1:
        raise Invalid(f"roles: say which party is {role.get('role')}: country_code and party_id")
    party = fitting[0].party
    return {**role, "country_code": party.country_code, "party_id": party.party_id}
