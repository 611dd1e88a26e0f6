"""Read what a bank says of a payment file: ISO 20022 pain.002, versions .001.03 and later.

Pure: bytes in, plain data out. What is said of a whole file, or of a block in it, holds for those
of its payments that nothing is said of.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from settlement.banking.iso20022 import BadFile, all_of, own_text, root_of, text_of

REJECTED = "RJCT"
# Received, checked, taken on, on its way, settled; PART says no more than its payments do.
TAKEN = frozenset(("RCVD", "PDNG", "ACTC", "ACCP", "ACSP", "ACWC", "ACWP", "ACSC", "ACCC", "PATC"))
PARTLY = "PART"


class BadReport(BadFile):
    """The file is not a report that can be understood; the message says what is wrong with it."""


class Status(NamedTuple):
    """What became of a payment, or of all of a file: a code, and why."""

    code: str
    reason: str


class Report(NamedTuple):
    """A report on one payment file: of it as a whole, and by end-to-end id."""

    ident: str
    message_id: str
    whole: Status | None
    payments: dict[str, Status]


def read(content: bytes) -> Report:
    """Read a file; raises BadReport for anything that is not entirely understood."""
    root = root_of(content, "pain.002", "payment status report", BadReport)
    found = all_of(root, "CstmrPmtStsRpt")
    if not found:
        raise BadReport("the file holds no report (CstmrPmtStsRpt)")
    ident = _needed(found[0], "GrpHdr/MsgId")
    group = all_of(found[0], "OrgnlGrpInfAndSts")
    message_id = _needed(found[0], "OrgnlGrpInfAndSts/OrgnlMsgId")
    blocks = all_of(found[0], "OrgnlPmtInfAndSts")
    told = [_status(group[0], "GrpSts"), *(_status(block, "PmtInfSts") for block in blocks)]
    of_all = sorted(filter(None, told), key=lambda status: status.code != REJECTED)
    payments = dict(_payments(item) for block in blocks for item in all_of(block, "TxInfAndSts"))
    return Report(ident[:35], message_id, of_all[0] if of_all else None, payments)


def _payments(item: Any) -> tuple[str, Status]:
    end_to_end_id = _needed(item, "OrgnlEndToEndId")
    status = _status(item, "TxSts")
    if status is None:
        raise BadReport(f"payment {end_to_end_id} has no status (TxSts)")
    return end_to_end_id, status


def _status(item: Any, name: str) -> Status | None:
    """Return what is said, if that is more than that some were rejected."""
    code = text_of(item, name)
    if code in ("", PARTLY):
        return None
    if code != REJECTED and code not in TAKEN:
        raise BadReport(f"{name} {code!r} is not known")
    return Status(code, "; ".join(filter(None, _reasons(item)))[:140])


def _reasons(item: Any) -> Iterator[str]:
    for told in all_of(item, "StsRsnInf"):
        yield text_of(told, "Rsn/Cd") or text_of(told, "Rsn/Prtry")
        yield " ".join(map(own_text, all_of(told, "AddtlInf")))


def _needed(item: Any, path: str) -> str:
    if text := text_of(item, path):
        return text
    raise BadReport(f"the report has no {path}")
