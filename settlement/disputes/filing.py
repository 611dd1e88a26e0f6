"""File a CDR in the name of its CPO, the way that all CDRs come in."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from cdrs import intake, judging
from cdrs.intake import Claim
from cdrs.models import Cdr
from parties.models import Role


def file(original: Cdr, body: Mapping[str, Any], now: dt.datetime) -> Cdr:
    """Take in what credits or replaces a CDR, for the eMSP that pays that; raises Invalid."""
    lacking = judging.candidate_of(original).lacking
    payer = Role.objects.paying(original.emsp_id).first()
    claim = Claim(original.owner, body, lacking=lacking, payer=payer)
    receipt = intake.receive(claim, now=now)
    return Cdr.objects.get(owner=original.owner, uid__iexact=receipt.uid)
