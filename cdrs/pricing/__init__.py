"""What a CDR costs by its tariffs, exactly, and why. Pure: no database, no Django, no floats.

docs/cdr-pricing.md has the rules; the files follow them in this order: `sessions` and `tariffs`
read the objects of any version, `choosing` finds the tariff of a period, `zones` its local time,
`restrictions` tell which elements apply, `matching` finds prices, `billing` rounds and sums,
`verdicts` compare with what the CDR claims, `explanation` tells people why.
"""

from cdrs.pricing.accounts import Account
from cdrs.pricing.engine import figures, price, settle
from cdrs.pricing.refusals import Refused
from cdrs.pricing.verdicts import Assessment, Verdict, assess

VERSION = "2026-11"  # kept with every verdict; a new one for every change of a figure

__all__ = [
    "VERSION",
    "Account",
    "Assessment",
    "Refused",
    "Verdict",
    "assess",
    "figures",
    "price",
    "settle",
]
