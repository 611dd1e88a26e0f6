"""An explanation as JSON for machines, as text for a terminal, and as HTML for a page.

The HTML is a fragment without styles or scripts, only classes; everything in it is escaped.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from html import escape

import msgspec

from cdrs.pricing.explanation import (
    Choice,
    Explanation,
    LimitTold,
    LineTold,
    Money,
    PeriodTold,
    StepTold,
    WarningTold,
)
from cdrs.pricing.numbers import brief, shown

FEW = 6  # reasons why other elements were not used that people are shown at once
NOTE = "Amounts and volumes are shown with 4 decimals and summed without rounding."


def as_json(told: Explanation) -> str:
    """Write an explanation as JSON; numbers are strings with all their digits."""
    return msgspec.json.encode(told).decode()


# Words that text and HTML share


def heading(told: Explanation) -> str:
    """Return what all of it is about."""
    tariffs = ", ".join(dict.fromkeys(period.tariff for period in told.periods))
    return f"Priced by tariff {tariffs} in {told.currency}; local times of {told.time_zone}"


def state(period: PeriodTold) -> str:
    """Return what a period was judged by."""
    return (
        f"Period {period.period}: from {period.begins} to {period.ends}, local time "
        f"{period.local_time}, after {brief(period.duration_so_far_s)} s "
        f"and {brief(period.energy_so_far_kwh)} kWh, tariff {period.tariff}"
    )


def chosen(choice: Choice) -> str:
    """Return which element priced a volume."""
    return f"element {choice.element}" if choice.element else "no element: free"


def reasons(choice: Choice) -> list[str]:
    """Return why the other elements did not; elements with one reason are told together."""
    together: dict[str, list[int]] = {}
    for item in choice.not_used:
        together.setdefault(item.reason, []).append(item.element)
    told = [f"not {_elements(numbers)}: {reason}" for reason, numbers in together.items()]
    left = len(told) - FEW
    return [*told[:FEW], f"and {left} more reasons"] if left > 0 else told


def rounding(step: StepTold) -> str:
    """Return what step_size did."""
    return (
        f"{step.dimension}: {brief(step.total)} {step.unit} in steps of {brief(step.step_size)} "
        f"{step.unit} are {brief(step.billed)} {step.unit}; the difference is in period "
        f"{step.period}"
    )


def limiting(limit: LimitTold) -> str:
    """Return what a limit did."""
    return (
        f"{limit.name} {amount(limit.limit)}: {amount(limit.before)} becomes {amount(limit.after)}"
    )


def amount(money: Money) -> str:
    """Return an amount in words."""
    return f"{_side(money.excl_vat)} ({_side(money.incl_vat)} with tax)"


def warning(item: WarningTold) -> str:
    """Return a warning in words."""
    return f"period {item.period}: {item.text}" if item.period else item.text


def _elements(numbers: Sequence[int]) -> str:
    """Name elements, those in a row by the first and the last."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    named = ", ".join(
        (", " if run[-1] - run[0] == 1 else " to ").join(map(str, run)) for run in runs
    )
    return f"element{'s' * (len(numbers) > 1)} {named}"


def _side(value: Decimal | None) -> str:
    return "unknown" if value is None else shown(value)


def _volume(line: LineTold) -> str:
    if not line.unit:
        return "once"
    if not line.added_by_step_size:
        return f"{shown(line.volume)} {line.unit}"
    sign = "-" if line.added_by_step_size < 0 else "+"
    return f"{shown(line.volume)} {sign} {shown(abs(line.added_by_step_size))} {line.unit}"


def _vat(line: LineTold) -> str:
    if line.vat is not None:
        return f"{brief(line.vat)} %"
    return "unknown" if None in (line.cost.excl_vat, line.cost.incl_vat) else "none"


# Text


def as_text(told: Explanation) -> str:
    """Write an explanation for a terminal."""
    return "\n".join(_lines_of_text(told))


def _lines_of_text(told: Explanation) -> Iterator[str]:
    yield heading(told)
    for period in told.periods:
        yield ""
        yield state(period)
        for choice in period.choices:
            yield from _choice_text(choice)
    yield from _section("Step sizes", map(rounding, told.steps))
    yield from _section("Lines", map(_line_text, told.lines))
    yield from _section("Totals", _total_texts(told))
    yield from _section("Limits", map(limiting, told.limits))
    yield from _section("Warnings", (f"{item.code}: {warning(item)}" for item in told.warnings))
    yield from ("", NOTE)


def _choice_text(choice: Choice) -> Iterator[str]:
    volume = f"{shown(choice.volume)} {choice.unit}" if choice.unit else "once"
    yield f"  {choice.dimension:16} {volume:>16}  {chosen(choice)}"
    for reason in reasons(choice):
        yield f"      {reason}"


def _section(title: str, lines: Iterable[str]) -> list[str]:
    found = [f"  {line}" for line in lines]
    return ["", title, *found] if found else []


def _line_text(line: LineTold) -> str:
    return (
        f"{line.dimension}, period {line.period}, element {line.element}: {_volume(line)} x "
        f"{_side(line.price.excl_vat)} = {_side(line.cost.excl_vat)}; "
        f"tax {_vat(line)}: {_side(line.cost.incl_vat)}"
    )


def _total_texts(told: Explanation) -> Iterator[str]:
    for name, money in [*told.totals.items(), ("total_cost", told.total_cost)]:
        if money:
            yield f"{name:24}{_side(money.excl_vat):>14}{_side(money.incl_vat):>14} with tax"


# HTML


def as_html(told: Explanation) -> str:
    """Write an explanation as a fragment of HTML."""
    return "".join(_pieces_of_html(told))


def _pieces_of_html(told: Explanation) -> Iterator[str]:
    yield '<section class="price-explanation">'
    yield _tag("p", "price-explanation-heading", heading(told))
    for period in told.periods:
        yield _tag("h3", "price-explanation-period", state(period))
        yield _list("price-explanation-choices", map(_choice_html, period.choices))
    yield _titled("Step sizes", _texts("price-explanation-steps", map(rounding, told.steps)))
    yield _titled("Lines", _lines_table(told))
    yield _titled("Totals", _totals_table(told))
    yield _titled("Limits", _texts("price-explanation-limits", map(limiting, told.limits)))
    yield _titled("Warnings", _list("price-explanation-warnings", map(_warning, told.warnings)))
    yield _tag("p", "price-explanation-note", NOTE)
    yield "</section>"


def _choice_html(choice: Choice) -> str:
    volume = f"{shown(choice.volume)} {choice.unit}" if choice.unit else "once"
    text = escape(f"{choice.dimension} {volume}: {chosen(choice)}")
    return text + _texts("price-explanation-reasons", reasons(choice))


def _warning(item: WarningTold) -> str:
    return f"{_tag('code', 'price-explanation-code', item.code)} {escape(warning(item))}"


def _lines_table(told: Explanation) -> str:
    head = (
        "Dimension",
        "Period",
        "Tariff",
        "Element",
        "Volume",
        "Price",
        "Cost",
        "Tax",
        "With tax",
    )
    rows = [
        (
            line.dimension,
            str(line.period),
            line.tariff,
            str(line.element),
            _volume(line),
            _side(line.price.excl_vat),
            _side(line.cost.excl_vat),
            _vat(line),
            _side(line.cost.incl_vat),
        )
        for line in told.lines
    ]
    return _table("price-explanation-lines", head, rows)


def _totals_table(told: Explanation) -> str:
    amounts = [*told.totals.items(), ("total_cost", told.total_cost)]
    rows = [
        (name, _side(money.excl_vat), _side(money.incl_vat)) for name, money in amounts if money
    ]
    return _table("price-explanation-totals", ("Total", "Without tax", "With tax"), rows)


def _titled(title: str, content: str) -> str:
    return _tag("h3", "price-explanation-title", title) + content if content else ""


def _tag(name: str, kind: str, text: str) -> str:
    return f'<{name} class="{kind}">{escape(text)}</{name}>'


def _texts(kind: str, items: Iterable[str]) -> str:
    return _list(kind, (escape(item) for item in items))


def _list(kind: str, items: Iterable[str]) -> str:
    content = "".join(f"<li>{item}</li>" for item in items)
    return f'<ul class="{kind}">{content}</ul>' if content else ""


def _table(kind: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f'<table class="{kind}"><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>'
