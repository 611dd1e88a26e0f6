"""Register the hub with a partner that has invited it."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser

from hub.commands import JsonCommand
from parties import connecting
from settlement import joining


class Command(JsonCommand):
    """Registers with a partner by the token that it gave us; the party joins the network."""

    help = "Send a partner the hub's credentials, and let the party join when it answers."
    refusals = (joining.CannotJoin, connecting.CannotConnect)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take who it is, what it does, and how it is reached."""
        parser.add_argument("country_code", metavar="COUNTRY", help="two letters")
        parser.add_argument("party_id", metavar="PARTY", help="three letters or digits")
        parser.add_argument("roles", metavar="ROLE[,ROLE...]", help="CPO, EMSP, NAP, NSP, ...")
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--url", required=True, help="its versions URL")
        parser.add_argument("--token", required=True, help="the token it gave the hub")
        parser.add_argument("--host", action="append", default=[], help="a host it may name")
        parser.add_argument(
            "--put", action="store_true", help="it takes the hub as registered: replace its token"
        )

    def run(
        self, *, country_code: str, party_id: str, roles: str, name: str, **options: Any
    ) -> Mapping[str, Any]:
        """Connect."""
        wanted = list(dict.fromkeys(role.strip().upper() for role in roles.split(",")))
        party, platform = joining.connect(
            connecting.Plan(
                address=joining.address_of(country_code, party_id),
                roles=wanted,
                name=name,
                url=options["url"],
                token=options["token"],
                hosts=[host.lower() for host in options["host"]],
                again=options["put"],
            )
        )
        return {
            "country_code": party.country_code,
            "party_id": party.party_id,
            "roles": wanted,
            "name": party.name,
            "version": platform.version,
            "state": platform.state,
            "modules": sorted(
                f"{item.module} {item.interface}" for item in platform.endpoints.all()
            ),
        }
