"""Give a person access: to the web pages of a party, or to the admin site."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from hub.commands import JsonCommand
from parties.models import Access
from parties.people import granting
from settlement import joining, staff


class Command(JsonCommand):
    """Adds a person of a party or a member of the hub's staff, or changes access and password."""

    help = "Give a person access, to a party's pages or to the admin site. Again: a new password."
    refusals = (staff.NoSuchStaff, granting.CannotGrant, joining.CannotJoin)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take who it is and what they may."""
        parser.add_argument("email", metavar="EMAIL")
        where = parser.add_mutually_exclusive_group(required=True)
        where.add_argument("--staff", metavar="ACCESS", help=", ".join(staff.ACCESS))
        where.add_argument("--party", metavar="CC-PID", help="the party whose pages they see")
        parser.add_argument("--access", metavar="ACCESS", help=", ".join(Access.values))
        parser.add_argument("--password", default="", help="made up unless given")

    def run(
        self,
        *,
        email: str,
        staff: str | None,
        party: str | None,
        access: str | None,
        password: str,
        **options: Any,
    ) -> Mapping[str, Any]:
        """Grant the access."""
        if staff:
            return _staff(email, staff, access, password)
        return _person(email, party or "", access, password)


def _staff(email: str, staff_access: str, access: str | None, password: str) -> Mapping[str, Any]:
    if access:
        raise staff.NoSuchStaff("--access is of people of a party: staff have --staff ACCESS alone")
    user, password = staff.grant(email, staff_access, password)
    return {"email": user.email, "access": staff_access, "password": password}


def _person(email: str, party: str, access: str | None, password: str) -> Mapping[str, Any]:
    country_code, _, party_id = party.partition("-")
    address = joining.address_of(country_code, party_id)
    if not access:
        raise granting.CannotGrant(f"say which --access ({', '.join(Access.values)})")
    code = address.code
    person, password = granting.grant(
        email, address.country_code, address.party_id, access, password
    )
    return {"email": person.email, "party": code, "access": access, "password": password}
