"""The demo network: four simulated partners trade with the running hub, and last month is closed.

Everything goes over HTTP like real traffic: the partners' own process (hub/sandbox) is told to
register and to send; this side only invites them, closes the month and makes the login.
"""

import datetime as dt
import json
import os
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone

from cdrs.models import Cdr
from cdrs.periods import month_of
from hub import egress
from hub.ocpi import times
from hub.ocpi.messages import Address
from hub.supervisor import demo_file, sandbox_port
from locations.models import Location
from parties import invitations
from parties.models import Access, Party, Platform, Role
from parties.people import granting
from settlement import clearing, joining, staff
from settlement.disputes import opening
from settlement.models import Agreement, Dispute, Document, DocumentFile
from settlement.models.disputes import Ask, Reason

LOGIN = "finance@demo.example"
SECONDS = 300.0  # for the longest call: a month of CDRs on a slow machine
OPENED = dt.timedelta(days=45)  # before last month, the partners put their chargers up
FEES: Mapping[str, dict[str, Decimal]] = {
    Agreement.Kind.CPO: {"fee_percent": Decimal("1.5")},
    Agreement.Kind.EMSP: {"fee_per_cdr": Decimal("0.05")},
}
START = "start the hub with ./ocn run, which builds the demo network by itself"
Partner = Mapping[str, Any]


class CannotBuild(Exception):
    """The demo network cannot be built; the message says why."""


def build() -> dict[str, Any]:
    """Build the demo network, or finish an interrupted attempt, and report what there is.

    On a database with other parties, and where it is built already, this changes nothing.
    Raises CannotBuild.
    """
    if not settings.SANDBOX:
        raise CannotBuild("a demo network belongs into a sandbox, and ENVIRONMENT is live")
    _require_answer(f"{settings.HUB_BASE_URL}/health/live", "the hub")
    _require_answer(f"{_sandbox()}/health", "the simulated partners")
    partners = _call("GET", "/partners")
    if _is_built(partners) or _is_taken(partners):
        return _report(built=False)
    for partner in partners:
        _connect(partner)
    _trade(month_of(timezone.now()))
    partners = _call("GET", "/partners")
    logins = list(_logins(partners))
    _contest(*(login.party for login in logins))
    _announce(partners, logins)
    return _report(built=True)


def _trade(this_month: dt.date) -> None:
    """Play last month and close it, then this month up to now, and let it go on by itself."""
    last_month = (this_month - dt.timedelta(days=1)).replace(day=1)
    begins, ends = _midnight(last_month), _midnight(this_month)
    _call("POST", "/publish", {"stamp": times.render(begins - OPENED)})
    _replay(last_month, begins, ends, late=False)
    clearing.close(last_month, now=timezone.now(), force=True)
    _replay(this_month, ends, timezone.now(), late=True)
    _call("POST", "/live", {})


def _replay(month: dt.date, begins: dt.datetime, until: dt.datetime, *, late: bool) -> None:
    span = {"from": times.render(begins), "until": times.render(until)}
    _call("POST", "/replay", {"month": f"{month:%Y-%m}", **span, "late": late})


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), ZoneInfo(settings.TIME_ZONE))


# The partners


def _connect(partner: Partner) -> None:
    """Invite a partner, if need be once more, and let it register."""
    address = Address(partner["country_code"], partner["party_id"])
    platform = _platform_of(address)
    if platform and platform.registered and partner["registered"]:
        return
    if platform and platform.registered:
        raise CannotBuild(f"{address} has lost its tokens: delete {settings.DATA_DIR}, start again")
    if platform:
        token = invitations.reinvite(platform)
    else:
        party, token = joining.join(address, [partner["role"]], partner["company"])
        _agree(party, partner["role"])
    hub = {"hub": f"{settings.HUB_BASE_URL}/ocpi/versions", "token": token}
    _call("POST", f"/partners/{partner['name']}/register", hub)


def _agree(party: Party, role: str) -> None:
    """Let CPOs pay the hub a share of what they sell, and eMSPs something for each CDR."""
    last_month = (month_of(timezone.now()) - dt.timedelta(days=1)).replace(day=1)
    kind = Agreement.Kind.CPO if role == Role.Kind.CPO else Agreement.Kind.EMSP
    Agreement.objects.create(party=party, kind=kind, valid_from=last_month, **FEES[kind])


def _platform_of(address: Address) -> Platform | None:
    parts = {"country_code": address.country_code, "party_id": address.party_id}
    names = {f"roles__party__{name}": value for name, value in parts.items()}
    return Platform.objects.filter(**names).first()


def _is_built(partners: list[Partner]) -> bool:
    return demo_file().exists() and _known(partners) == len(partners)


def _is_taken(partners: list[Partner]) -> bool:
    """Tell whether others use this hub already, who would not like their month closed."""
    return not _known(partners) and Party.objects.exists()


def _known(partners: list[Partner]) -> int:
    addresses = [Address(item["country_code"], item["party_id"]) for item in partners]
    return sum(_platform_of(address) is not None for address in addresses)


# A dispute


def _contest(cpo: Party, emsp: Party) -> None:
    """Let an eMSP dispute a CDR, of this month if there are any, unless it does already."""
    sold = Cdr.objects.filter(owner=cpo, emsp=emsp, state=Cdr.State.ACCEPTED)
    cdr = sold.filter(credit_of=None, credited_by=None).order_by("-month", "pk").first()
    if cdr is None or Dispute.objects.exists():
        return
    text = "The driver says that the charger stopped after two minutes, and went to another one."
    claim = Reason.CHARGER_FAULT, Ask.FULL, None, text
    opening.open_dispute(emsp, [cdr], *claim, None, timezone.now())


# What is told about it


class Login(NamedTuple):
    """Somebody who may look at the demo network: the party, and what to log in with."""

    party: Party
    email: str
    password: str

    @property
    def portal(self) -> str:
        """Return the party's place in the portal."""
        return f"{settings.HUB_BASE_URL}/app/{self.party.address.code}/"


def _announce(partners: list[Partner], logins: list[Login]) -> None:
    """Make the login and write down what to try next, for whoever starts the hub."""
    _, password = staff.grant(LOGIN, staff.ADMIN)
    path = demo_file()
    draft = path.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps({"lines": list(_lines(partners, password, logins))}, indent=1))
    os.replace(draft, path)


def _logins(partners: list[Partner]) -> Iterator[Login]:
    """Make an owner for one CPO and one eMSP."""
    for role in ("CPO", "EMSP"):
        partner = next(partner for partner in partners if partner["role"] == role)
        party = Party.objects.get(
            country_code=partner["country_code"], party_id=partner["party_id"]
        )
        email = f"owner@{party.address.code}.demo.example".lower()
        address = party.address.country_code, party.address.party_id
        person, password = granting.grant(email, *address, Access.OWNER)
        yield Login(party, person.email, password)


def _lines(partners: list[Partner], password: str, logins: list[Login]) -> Iterator[str]:
    base = settings.HUB_BASE_URL
    emsp = next(partner for partner in partners if partner["role"] == "EMSP")
    yield f"  developer hub   {base}/"
    yield f"  admin           {base}/admin/   {LOGIN} / {password}"
    for login in logins:
        code = login.party.address.code
        yield f"  portal {code:8} {login.portal}   {login.email} / {login.password}"
    for dispute in Dispute.objects.order_by("pk")[:1]:
        page = f"{logins[0].portal}disputes/{dispute.reference}/"
        yield f"  a dispute       {page}   (the CPO's turn)"
    for file in DocumentFile.objects.filter(kind=DocumentFile.Kind.PDF).order_by("pk")[:1]:
        path = f"/admin/settlement/document/{file.document_id}/files/pdf"
        yield f"  last month      {base}{path}   ({file.name})"
    yield f"next: what {emsp['company']}, an eMSP of the demo network, sees of its partners:"
    url = f"{base}/ocpi/2.2.1/sender/locations?limit=1"
    yield f'  curl -H "Authorization: Token {emsp["hub_token"]}" "{url}"'


def _report(*, built: bool) -> dict[str, Any]:
    return {
        "built": built,
        "parties": Party.objects.count(),
        "locations": Location.objects.count(),
        "cdrs": Cdr.objects.count(),
        "documents": Document.objects.count(),
    }


# Calls


def _sandbox() -> str:
    return f"http://127.0.0.1:{sandbox_port()}"


def _require_answer(url: str, who: str) -> None:
    try:
        reply = egress.call(egress.Request("GET", url, None, {}, 10))
    except (egress.EgressDeniedError, egress.EgressFailedError) as error:
        raise CannotBuild(f"{who} does not answer at {url} ({error}): {START}") from error
    if reply.status != 200:
        raise CannotBuild(f"{who} answers HTTP {reply.status} at {url}: {START}")


def _call(method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """Tell the partners' process something and return its answer."""
    headers = {"Content-Type": "application/json"}
    content = None if body is None else json.dumps(body).encode()
    url = f"{_sandbox()}/control{path}"
    try:
        reply = egress.call(egress.Request(method, url, None, headers, SECONDS, content))
    except (egress.EgressDeniedError, egress.EgressFailedError) as error:
        raise CannotBuild(f"the simulated partners do not answer ({error}): {START}") from error
    answer = json.loads(reply.body)
    if reply.status != 200:
        raise CannotBuild(f"the simulated partners: {answer['error']}")
    return answer
