"""Who a message is from and to, and the headers that say so.

Source: OCPI 2.2.1, transport_and_format, "Message Routing Headers" and "Unique message IDs".
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from hub.ocpi.errors import Invalid

SAFE_ID = re.compile(r"^[A-Za-z0-9._:/+=@~{}-]{1,255}$")


@dataclass(frozen=True)
class Address:
    """A party: country code (2) and party id (3), compared in upper case."""

    country_code: str
    party_id: str

    def __str__(self) -> str:
        return f"{self.country_code}*{self.party_id}"

    @property
    def code(self) -> str:
        """Return it as paths and papers have it, such as NL-CPO."""
        return f"{self.country_code}-{self.party_id}"

    @classmethod
    def of(cls, country_code: str, party_id: str) -> "Address":
        """Build the address in its canonical upper case."""
        return cls(country_code.upper(), party_id.upper())


@dataclass(frozen=True)
class Ids:
    """The ids of one message and of the chain of messages it belongs to."""

    request: str = field(default_factory=lambda: str(uuid.uuid4()))
    correlation: str = field(default_factory=lambda: str(uuid.uuid4()))

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> "Ids":
        """Take over a caller's ids; make what is missing or unsafe to repeat."""
        request, correlation = headers.get("X-Request-ID"), headers.get("X-Correlation-ID")
        return cls(
            request if request and SAFE_ID.match(request) else str(uuid.uuid4()),
            correlation if correlation and SAFE_ID.match(correlation) else str(uuid.uuid4()),
        )

    def next(self) -> "Ids":
        """Return the ids of a message caused by this one: a new request, the same correlation."""
        return Ids(correlation=self.correlation)

    def headers(self) -> dict[str, str]:
        """Return them as HTTP headers."""
        return {"X-Request-ID": self.request, "X-Correlation-ID": self.correlation}


@dataclass(frozen=True)
class Route:
    """The routing headers of a message; either side may be missing."""

    to: Address | None = None
    sender: Address | None = None

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> "Route":
        """Read them; half a pair is Invalid."""
        return cls(to=_address(headers, "to"), sender=_address(headers, "from"))

    def answered(self, by: Address) -> "Route":
        """Return the route of the answer, given who answers."""
        return Route(to=self.sender, sender=by)

    def headers(self) -> dict[str, str]:
        """Return them as HTTP headers."""
        found = {}
        for name, address in (("to", self.to), ("from", self.sender)):
            if address:
                found[f"OCPI-{name}-country-code"] = address.country_code
                found[f"OCPI-{name}-party-id"] = address.party_id
        return found


def _address(headers: Mapping[str, str], side: str) -> Address | None:
    country, party = headers.get(f"OCPI-{side}-country-code"), headers.get(f"OCPI-{side}-party-id")
    if not country and not party:
        return None
    if not country or not party:
        raise Invalid(f"OCPI-{side}-country-code and OCPI-{side}-party-id go together")
    if not re.fullmatch(r"[A-Za-z]{2}", country) or not re.fullmatch(r"[A-Za-z0-9]{3}", party):
        raise Invalid(f"OCPI-{side}-country-code has 2 letters, OCPI-{side}-party-id 3")
    return Address.of(country, party)
