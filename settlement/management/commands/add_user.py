"""Give a person access to the admin site."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from hub.commands import JsonCommand
from settlement import staff


class Command(JsonCommand):
    """Adds a member of the hub's staff, or changes their access and password."""

    help = "Give a member of staff access to the admin site. Again: new access, new password."
    refusals = (staff.NoSuchStaff,)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take who it is and what they may."""
        parser.add_argument("email", metavar="EMAIL")
        parser.add_argument(
            "--staff", dest="access", required=True, metavar="ACCESS", help=", ".join(staff.ACCESS)
        )
        parser.add_argument("--password", default="", help="made up unless given")

    def run(self, *, email: str, access: str, password: str, **options: Any) -> Mapping[str, Any]:
        """Grant the access."""
        user, password = staff.grant(email, access, password)
        return {"email": user.email, "access": access, "password": password}
