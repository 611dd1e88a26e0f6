"""Every vector is priced, and every scored one exactly so.

A vector is a CDR, its tariffs, and what a source that can be named says they cost; `origin` and
`source` tell which. Ours are beside the tests. A second file has JSON of other projects and of the
specification, which is not ours to copy: it is run from where PRICING_VECTORS says.
"""

import copy
import json
import os
from decimal import Decimal as D
from pathlib import Path

import pytest
from django.conf import settings

from cdrs.pricing import Refused, Verdict, assess, price

OWN = settings.BASE_DIR / "tests" / "data" / "pricing-own.jsonl"
PUBLIC = Path(
    os.environ.get("PRICING_VECTORS")
    or settings.BASE_DIR.parent / "shared" / "vectors" / "pricing-public.jsonl"
)
VOLUME_TOLERANCE = D("0.00005")
ADDING_UP = D("0.0003")
# Not scored by their authors' own word, and priced otherwise here.
OTHERWISE = {
    "hamza211-045kwh_start_parking_min_duration",  # here duration counts from the first period
    "hamza211-gireve_cdr",  # not OCPI: rounding rules of its own, no times
    "hamza211-session_time",  # not OCPI: SESSION_TIME
}


def read(path):
    with path.open() as lines:
        return [json.loads(line) for line in lines]


def named(vectors):
    kept = [vector for vector in vectors if vector["id"] not in OTHERWISE]
    return [pytest.param(vector, id=vector["id"]) for vector in kept]


def public():
    reason = f"{PUBLIC} is not there; PRICING_VECTORS may name another file"
    if not PUBLIC.exists():
        return [pytest.param(None, id="public", marks=pytest.mark.skip(reason=reason))]
    return named(read(PUBLIC))


def blind(cdr):
    """Leave out every total, so that no figure can be read back."""
    return {name: value for name, value in cdr.items() if not name.startswith("total_")}


@pytest.mark.parametrize("vector", named(read(OWN)) + public())
def test_vector(vector):
    cdr, tariffs = blind(copy.deepcopy(vector["cdr"])), copy.deepcopy(vector["tariffs"])
    if "expect_error" in vector:
        with pytest.raises(Refused) as refusal:
            price(cdr, tariffs, vector["tz"])
        assert refusal.value.code == vector["expect_error"]
    else:
        problems = differences(vector, price(cdr, tariffs, vector["tz"]))
        assert not problems, vector.get("notes", "")
    assert cdr == blind(vector["cdr"])
    assert tariffs == vector["tariffs"]


def differences(vector, got):
    tolerance = D(vector["tolerance"])
    found = []
    for name, expected in vector.get("expect_normative", vector["expect"]).items():
        if isinstance(expected, dict):
            for side, text in expected.items():
                have = (got[name] or {}).get(side, D(0))
                if text is not None and not near(have, text, tolerance):
                    found.append((f"{name}.{side}", text, have))
        else:
            limit = VOLUME_TOLERANCE if name == "total_time" else max(tolerance, VOLUME_TOLERANCE)
            if not near(got[name], expected, limit):
                found.append((name, expected, got[name]))
    return found + wrong_warnings(vector, got["warnings"]) + wrong_sum(got)


def near(have, text, tolerance):
    assert have is None or isinstance(have, D)
    return (D(text) == 0) if have is None else abs(have - D(text)) <= tolerance


def wrong_warnings(vector, have):
    want = vector.get("expect_warnings")
    if want is None or (set(want) <= set(have) and (want or not have)):
        return []
    return [("warnings", want, have)]


def wrong_sum(got):
    if "total_clamped" in got["warnings"] or got["total_cost"]["excl_vat"] is None:
        return []
    parts = [got[name] for name in got if name.endswith("_cost") and name != "total_cost"]
    added = sum((part["excl_vat"] for part in parts if part), D(0))
    total = got["total_cost"]["excl_vat"]
    return [] if abs(added - total) <= ADDING_UP else [("adds up to", added, total)]


@pytest.mark.parametrize("vector", named(item for item in read(OWN) if item["kind"] == "verify"))
def test_claims_of_a_vector(vector):
    assessment = assess(vector["cdr"], vector["tariffs"], vector["tz"])
    told = [(item.field, item.difference) for item in assessment.differences]
    expected = [(item["field"], D(item["difference"])) for item in vector["expect_divergences"]]
    assert told == expected
    assert assessment.cost_verdict is Verdict.MATCH
