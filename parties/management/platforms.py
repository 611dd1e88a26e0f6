"""How commands name a platform: by one of its parties."""

from django.core.management.base import CommandError, CommandParser

from hub.ocpi.messages import Address
from parties import invitations
from parties.models import Platform


def add_platform(parser: CommandParser) -> None:
    """Take a party, and one of its roles where it has a platform for each."""
    parser.add_argument("party", metavar="CC-PID", help="country code and party id, as in NL-ABC")
    parser.add_argument("--role", default="", help="where its roles are on several platforms")


def chosen_platform(party: str, role: str) -> Platform:
    """Return the platform; raises InvitationError when there is none, or no single one."""
    country_code, dash, party_id = party.partition("-")
    if not dash:
        raise CommandError(f"a party is written CC-PID, not {party!r}")
    return invitations.platform_of(Address.of(country_code, party_id), role.upper())
