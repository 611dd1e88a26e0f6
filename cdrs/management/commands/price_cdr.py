"""Price a CDR that is in a file, and compare with what it claims."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import CommandError, CommandParser

from cdrs.pricing import Account, Assessment, Refused, assess, settle
from cdrs.pricing.explanation import Explanation, explain
from cdrs.pricing.numbers import shown
from cdrs.pricing.rendering import as_text
from hub.commands import JsonCommand
from hub.money import minor_unit
from hub.ocpi import json, tariff_lints


class Command(JsonCommand):
    """Prices a CDR without looking at the database."""

    help = "Price a CDR by its tariffs, compare with what it claims, and tell why."
    refusals = (json.JsonError, OSError)

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the files."""
        parser.add_argument("file", metavar="FILE", help="the CDR as JSON; - is standard input")
        parser.add_argument(
            "--tariff",
            dest="tariffs",
            action="append",
            metavar="FILE",
            help="a tariff, or a list of them, instead of those in the CDR; may be repeated",
        )
        parser.add_argument(
            "--time-zone", metavar="NAME", help="of the location, such as Europe/Amsterdam"
        )
        parser.add_argument("--explain", action="store_true", help="tell every step")

    def run(
        self,
        *,
        file: str,
        tariffs: Sequence[str] | None,
        time_zone: str | None,
        explain: bool,
        **options: Any,
    ) -> Mapping[str, Any]:
        """Price it, and compare if it claims anything."""
        cdr = _object(_read(file), file)
        given = None if tariffs is None else [item for name in tariffs for item in _listed(name)]
        account, assessment = _priced(cdr, given, time_zone)
        return {
            "cdr": str(cdr.get("id") or file),
            "currency": account.session.currency,
            "time_zone": account.zone.key,
            "verdict": assessment and assessment.verdict,
            "cost_verdict": assessment and assessment.cost_verdict,
            "reading": assessment and assessment.reading and assessment.reading.text,
            "figures": _figures(account, assessment),
            "warnings": account.warnings,
            "lints": list(_lints(cdr.get("tariffs") if given is None else given)),
            "explanation": _told(account) if explain else None,
        }

    def text(self, result: Mapping[str, Any]) -> str:
        """Tell the verdict, the figures side by side, and the account if asked to."""
        return "\n".join(_lines(result))


def _read(name: str) -> Any:
    raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    return json.loads(raw)


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise CommandError(f"{name} is not a JSON object")
    return value


def _listed(name: str) -> list[Any]:
    found = _read(name)
    return [_object(item, name) for item in (found if isinstance(found, list) else [found])]


def _priced(
    cdr: Mapping[str, Any], tariffs: Sequence[Any] | None, zone: str | None
) -> tuple[Account, Assessment | None]:
    try:
        if cdr.get("total_cost") is None:
            return settle(cdr, tariffs, zone), None
        unit = minor_unit(str(cdr.get("currency")))
        assessment = assess(cdr, tariffs, zone, unit)
    except Refused as error:
        raise CommandError(f"{error} ({error.code})") from error
    return assessment.account, assessment


def _figures(account: Account, assessment: Assessment | None) -> list[dict[str, Any]]:
    """Return what is compared; without claims what it costs."""
    if assessment is None:
        amounts = {"total_cost": account.total, **account.parts}
        return [
            {"field": f"{name}.{side}", "computed": shown(value)}
            for name, amount in amounts.items()
            for side, value in zip(("excl_vat", "incl_vat"), amount or (), strict=False)
            if value is not None
        ]
    return [
        {
            "field": item.field,
            "claimed": shown(item.claimed),
            "computed": shown(item.computed),
            "difference": shown(item.difference),
            "verdict": item.verdict,
        }
        for item in [*assessment.costs, *assessment.volumes]
    ]


def _lints(tariffs: Sequence[Any] | None) -> Iterator[dict[str, str]]:
    for tariff in tariffs or ():
        for lint in tariff_lints.check(tariff):
            yield {"tariff": str(tariff.get("id")), **lint._asdict()}


def _told(account: Account) -> Any:
    return msgspec.to_builtins(explain(account))


def _lines(result: Mapping[str, Any]) -> Iterator[str]:
    if result["verdict"] is None:
        yield "CDR {cdr} claims no cost".format(**result)
    else:
        yield "CDR {cdr}: costs {cost_verdict}, all figures {verdict}".format(**result)
    if result["reading"]:
        yield f"explained by another reading: {result['reading']}"
    yield f"{'':52}{'claimed':>12}{'computed':>12}{'difference':>12}"
    for figure in result["figures"]:
        yield _figure_line(figure)
    for code in result["warnings"]:
        yield f"warning: {code}"
    for lint in result["lints"]:
        yield "tariff {tariff}: {path}: {text} ({code})".format(**lint)
    if result["explanation"]:
        yield ""
        yield as_text(msgspec.convert(result["explanation"], Explanation))


def _figure_line(figure: Mapping[str, str]) -> str:
    numbers = "".join(
        f"{figure.get(name, ''):>12}" for name in ("claimed", "computed", "difference")
    )
    return f"{figure['field']:52}{numbers}  {figure.get('verdict', '')}".rstrip()
