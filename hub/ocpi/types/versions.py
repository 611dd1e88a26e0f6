"""OCPI 2.2.1, version_information_endpoint."""

from typing import Annotated

from msgspec import Struct

from hub.ocpi.types.basic import AT_LEAST_ONE, Url
from hub.ocpi.types.enums import InterfaceRole, ModuleID, VersionNumber


class Version(Struct, kw_only=True):
    """version_information_endpoint, Version."""

    version: VersionNumber
    url: Url


class Endpoint(Struct, kw_only=True):
    """version_information_endpoint, Endpoint."""

    identifier: ModuleID
    role: InterfaceRole
    url: Url


class VersionDetails(Struct, kw_only=True):
    """version_information_endpoint, VersionDetails."""

    version: VersionNumber
    endpoints: Annotated[list[Endpoint], AT_LEAST_ONE]
