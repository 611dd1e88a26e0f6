"""Register a party and invite its platform."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from hub.commands import JsonCommand
from parties.models import Dialect
from settlement import joining


class Command(JsonCommand):
    """Adds a party; its registration token is shown here and nowhere else."""

    help = "Register a party and print the one-time token with which its platform registers."
    refusals = (joining.CannotJoin,)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take who it is, what it does, and how its platform speaks."""
        parser.add_argument("country_code", metavar="COUNTRY", help="two letters")
        parser.add_argument("party_id", metavar="PARTY", help="three letters or digits")
        parser.add_argument("roles", metavar="ROLE[,ROLE...]", help="CPO, EMSP, NAP, NSP, ...")
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--dialect", default=Dialect.OCPI, help="ocpi (default) or quickstart")
        parser.add_argument("--currency", default="EUR", help="in which it trades (default EUR)")
        parser.add_argument(
            "--with", dest="platform_token", default="", metavar="TOKEN", help="share the platform"
        )
        parser.add_argument("--host", default="", help="the only host its URLs may name")

    def run(
        self, *, country_code: str, party_id: str, roles: str, name: str, **options: Any
    ) -> Mapping[str, Any]:
        """Let the party join."""
        wanted = [role.strip().upper() for role in roles.split(",")]
        party, token = joining.join(
            joining.address_of(country_code, party_id),
            wanted,
            name,
            dialect=options["dialect"],
            host=options["host"].lower(),
            platform_token=options["platform_token"],
            currency=joining.currency_of(options["currency"]),
        )
        return {
            "country_code": party.country_code,
            "party_id": party.party_id,
            "roles": wanted,
            "name": party.name,
            "token": token,
        }

    def text(self, result: Mapping[str, Any]) -> str:
        """Tell the token, and what it is for."""
        code = "{country_code}*{party_id}".format(**result)
        roles = ", ".join(result["roles"])
        return (
            f"{code} ({result['name']}) may register as {roles}.\n"
            f"Its registration token, shown only once and good for 7 days:\n{result['token']}"
        )
