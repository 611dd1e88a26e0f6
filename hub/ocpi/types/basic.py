"""The types that every module of OCPI 2.2.1 shares (transport_and_format, types)."""

from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta, Struct

_ASCII = "^[ -~]*$"
_ID = r"^([ -~]*[ -,\-/-~][ -~]*|\.{3,})$"  # any but . and .., which would lead elsewhere in a URL
_NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"
# A month or day of one digit: the sentinel 1970-1-1T00:00:00Z is written so.
_DATE = r"\d{4}-(0?[1-9]|1[0-2])-(0?[1-9]|[12]\d|3[01])"
_TIME = r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,3})?Z?"
AT_LEAST_ONE = Meta(min_length=1)

CiString4 = Annotated[str, Meta(min_length=1, max_length=4, pattern=_ASCII)]
CiString32 = Annotated[str, Meta(min_length=1, max_length=32, pattern=_ASCII)]
CiString36 = Annotated[str, Meta(min_length=1, max_length=36, pattern=_ASCII)]
CiString39 = Annotated[str, Meta(min_length=1, max_length=39, pattern=_ASCII)]
CiString48 = Annotated[str, Meta(min_length=1, max_length=48, pattern=_ASCII)]
Id36 = Annotated[str, Meta(min_length=1, max_length=36, pattern=_ID)]
Id39 = Annotated[str, Meta(min_length=1, max_length=39, pattern=_ID)]
String2 = Annotated[str, Meta(max_length=2, pattern=_NO_CONTROLS)]
String4 = Annotated[str, Meta(max_length=4, pattern=_NO_CONTROLS)]
String10 = Annotated[str, Meta(max_length=10, pattern=_NO_CONTROLS)]
String16 = Annotated[str, Meta(max_length=16, pattern=_NO_CONTROLS)]
String45 = Annotated[str, Meta(max_length=45, pattern=_NO_CONTROLS)]
String64 = Annotated[str, Meta(max_length=64, pattern=_NO_CONTROLS)]
String100 = Annotated[str, Meta(max_length=100, pattern=_NO_CONTROLS)]
String255 = Annotated[str, Meta(max_length=255, pattern=_NO_CONTROLS)]
String512 = Annotated[str, Meta(max_length=512, pattern=_NO_CONTROLS)]
# What a meter signed is kept as it came; folded Base64 and XML have line breaks.
Verbatim512 = Annotated[str, Meta(max_length=512)]
Verbatim5000 = Annotated[str, Meta(max_length=5000)]
CountryCode = Annotated[str, Meta(title="CountryCode", pattern="^[A-Za-z]{2}$")]
PartyId = Annotated[str, Meta(title="PartyId", pattern="^[A-Za-z0-9]{3}$")]
Country = Annotated[str, Meta(title="Country", pattern="^[A-Z]{3}$")]
Currency = Annotated[str, Meta(title="Currency", pattern="^[A-Z]{3}$")]
CredentialsToken = Annotated[
    str, Meta(title="CredentialsToken", min_length=1, max_length=64, pattern="^[!-~]+$")
]
Url = Annotated[str, Meta(title="Url", min_length=1, max_length=255, pattern="^[!-~]+$")]
DateTime = Annotated[str, Meta(title="DateTime", max_length=25, pattern=f"^{_DATE}T{_TIME}$")]
Number = Decimal
Latitude = Annotated[str, Meta(title="Latitude", max_length=11, pattern=r"^-?\d{1,2}\.\d{5,7}$")]
Longitude = Annotated[str, Meta(title="Longitude", max_length=12, pattern=r"^-?\d{1,3}\.\d{5,7}$")]
LocalTime = Annotated[str, Meta(title="LocalTime", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
LocalDate = Annotated[
    str, Meta(title="LocalDate", pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")
]
Weekday = Annotated[int, Meta(ge=1, le=7)]
Int5 = Annotated[int, Meta(ge=0, le=99_999)]
StatusCode = Annotated[int, Meta(ge=1000, le=9999)]


class DisplayText(Struct, kw_only=True):
    """types, DisplayText."""

    language: String2
    text: String512


class Price(Struct, kw_only=True):
    """types, Price."""

    excl_vat: Number
    incl_vat: Number | None = None


class Envelope(Struct, kw_only=True):
    """transport_and_format, Envelope."""

    data: Any = None
    status_code: StatusCode
    status_message: str | None = None
    timestamp: DateTime
