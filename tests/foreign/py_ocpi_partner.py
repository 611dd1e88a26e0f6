"""py-ocpi as it is, with a store in memory: a partner of the hub that others wrote.

Runs in an environment of its own (requirements-foreign.lock): `python ... PORT PARTY`. What
py-ocpi leaves to its user is here (a store, an adapter, the tokens), and a way for the test to look
into the store and to act as its operator. Its own code answers the hub.
"""

import sys
from itertools import islice
from typing import Any

PORT, PARTY = int(sys.argv[1]), sys.argv[2]


def announce() -> None:
    """Let py-ocpi announce http: it can only write https, and here nothing ends TLS before it.

    The commands that its CPO side serves are missing in its list of endpoints.
    """
    from py_ocpi.core import endpoints
    from py_ocpi.core.config import settings
    from py_ocpi.core.enums import ModuleID, RoleEnum
    from py_ocpi.modules.versions.enums import InterfaceRole, VersionNumber
    from py_ocpi.modules.versions.schemas import Endpoint

    settings.OCPI_HOST = f"127.0.0.1:{PORT}"
    mine = endpoints.ENDPOINTS[VersionNumber.v_2_2_1]
    url = f"https://{settings.OCPI_HOST}/ocpi/cpo/2.2.1/commands"
    commands = Endpoint(identifier=ModuleID.commands, role=InterfaceRole.receiver, url=url)
    mine[RoleEnum.cpo].append(commands)
    for endpoint in [*mine[RoleEnum.cpo], *mine[RoleEnum.emsp]]:
        path = endpoint.url.split("/ocpi/")[1]
        endpoint.url = f"http://{settings.OCPI_HOST}/ocpi/{path}"


announce()

import uvicorn  # noqa: E402
from fastapi import Body  # noqa: E402
from py_ocpi import get_application  # noqa: E402
from py_ocpi.core.enums import Action, ModuleID, RoleEnum  # noqa: E402
from py_ocpi.core.exceptions import NotFoundOCPIError  # noqa: E402
from py_ocpi.modules.cdrs.v_2_2_1.schemas import Cdr  # noqa: E402
from py_ocpi.modules.commands.v_2_2_1.schemas import (  # noqa: E402
    CommandResponse,
    CommandResult,
)
from py_ocpi.modules.credentials.v_2_2_1.schemas import Credentials  # noqa: E402
from py_ocpi.modules.locations.v_2_2_1.schemas import Location  # noqa: E402
from py_ocpi.modules.sessions.v_2_2_1.schemas import Session  # noqa: E402
from py_ocpi.modules.tariffs.v_2_2_1.schemas import Tariff  # noqa: E402
from py_ocpi.modules.tokens.v_2_2_1.schemas import AuthorizationInfo, Token  # noqa: E402
from py_ocpi.modules.versions.enums import VersionNumber  # noqa: E402

ROLES = [
    {"role": role, "country_code": "AT", "party_id": PARTY, "business_details": {"name": "py-ocpi"}}
    for role in ("CPO", "EMSP")
]
TOKENS: dict[str, str] = {}  # a token that the hub shows us -> the one that we show it, or ""
HELD: dict[str, dict[str, Any]] = {module.value: {} for module in ModuleID}


class Store:
    """What py-ocpi asks its user for."""

    @classmethod
    async def get(cls, module, role, id, *args, **kwargs):
        """Return an object, None when there is none, where py-ocpi does not want an exception."""
        if module == ModuleID.commands:
            return {"result": "ACCEPTED"}
        if module == ModuleID.credentials_and_registration:
            return own_credentials(kwargs["auth_token"]) if kwargs["auth_token"] in TOKENS else None
        found = HELD[module.value].get(str(id).lower())
        must = {(ModuleID.tokens, RoleEnum.emsp), (ModuleID.locations, RoleEnum.cpo)}
        if found is None and (module, role) in must:
            raise NotFoundOCPIError
        return found

    @classmethod
    async def list(cls, module, role, filters, *args, **kwargs):
        """Return a page."""
        found, end = HELD[module.value], filters["offset"] + filters["limit"]
        page = list(islice(found.values(), filters["offset"], end))
        return page, len(found), end >= len(found)

    @classmethod
    async def create(cls, module, role, data, *args, **kwargs):
        """Keep an object; credentials bring a token."""
        if module == ModuleID.credentials_and_registration:
            TOKENS["for-the-hub"] = data["credentials"]["token"]
            HELD[module.value]["hub"] = data
            return own_credentials("for-the-hub")
        key = str(data.get("id") or data.get("uid")).lower()
        HELD[module.value][key] = data
        return data

    @classmethod
    async def update(cls, module, role, data, id, *args, **kwargs):
        """Replace an object."""
        HELD[module.value][str(id).lower()] = data
        return data

    @classmethod
    async def delete(cls, module, role, id, *args, **kwargs):
        """Forget an object."""
        HELD[module.value].pop(str(id).lower(), None)

    @classmethod
    async def do(cls, module, role, action, data=None, *args, **kwargs):
        """Tell a token, authorise, take a command."""
        if action == Action.get_client_token:
            return TOKENS.get(kwargs["auth_token"])
        if action == Action.authorize_token:
            return {"allowed": "ALLOWED", "token": HELD["tokens"][data["token_uid"].lower()]}
        HELD["commands"][kwargs["command"].value] = data
        return {"result": "ACCEPTED", "timeout": 30}


def own_credentials(token: str) -> dict[str, Any]:
    """Return our credentials as the hub is to use them."""
    return {"token": token, "url": f"http://127.0.0.1:{PORT}/ocpi/versions", "roles": ROLES}


class Shapes:
    """Turns what the store holds into py-ocpi's objects."""


for name, kind in {
    "location": Location,
    "session": Session,
    "credentials": Credentials,
    "cdr": Cdr,
    "tariff": Tariff,
    "command_response": CommandResponse,
    "command_result": CommandResult,
    "token": Token,
    "authorization": AuthorizationInfo,
}.items():

    def shaped(cls, data, version=None, kind=kind):
        """Return an object of py-ocpi's."""
        return kind(**data)

    setattr(Shapes, f"{name}_adapter", classmethod(shaped))

app = get_application([VersionNumber.v_2_2_1], [RoleEnum.cpo, RoleEnum.emsp], Store, Shapes)
for version in app.dependency_overrides.values():
    found = version()
    for item in found if isinstance(found, list) else []:
        item["url"] = item["url"].replace("https://", "http://")


@app.get("/test/held")
async def held():
    """Show what there is."""
    return HELD


@app.post("/test/tokens")
async def add_token(ours: str = Body(...), theirs: str = Body("")):
    """Accept a token, and have the one that we show for it; empty before the handshake."""
    TOKENS[ours] = theirs


@app.post("/test/held/{module}")
async def add(module: str, data: dict):
    """Add an object of our own, to be pulled."""
    HELD[module][str(data.get("id") or data.get("uid")).lower()] = data


@app.post("/test/copies/{module}/{count}")
async def add_copies(module: str, count: int, data: dict):
    """Add many objects that differ in their ids only, to be listed."""
    for number in range(count):
        HELD[module][f"{data['id']}-{number}".lower()] = data | {"id": f"{data['id']}-{number}"}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
