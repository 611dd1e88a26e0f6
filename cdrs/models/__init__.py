"""Tokens, sessions and CDRs; what the hub thinks of a CDR, and what people have decided."""

from cdrs.models.charging import (
    BARE_CONTRACT,
    Authorization,
    Cdr,
    CdrQuerySet,
    Finding,
    PaidQuerySet,
    Period,
    Session,
    SessionQuerySet,
    Token,
)
from cdrs.models.judging import Decision, Norm, RuleParameters, Verdict

__all__ = [
    "BARE_CONTRACT",
    "Authorization",
    "Cdr",
    "CdrQuerySet",
    "Decision",
    "Finding",
    "Norm",
    "PaidQuerySet",
    "Period",
    "RuleParameters",
    "Session",
    "SessionQuerySet",
    "Token",
    "Verdict",
]
