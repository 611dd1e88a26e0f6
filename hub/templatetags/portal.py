"""The small parts that pages of the portal are made of: tags, icons, amounts, times."""

import datetime as dt
from decimal import Decimal
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _

from hub.money import minor_unit

register = template.Library()
SHAPES = {  # a tag is text, shape and colour; the shape of each kind, of static/portal/icons.svg
    "ok": "shape-ok",
    "progress": "shape-half",
    "action": "shape-triangle",
    "waiting": "shape-hollow",
    "held": "shape-pause",
    "bad": "shape-octagon",
    "closed": "shape-dash",
    "practice": "shape-dashed",
}


@register.simple_tag
def icon(name: str) -> SafeString:
    """Draw an icon beside a text that says the same."""
    return format_html(
        '<svg class="icon" aria-hidden="true" width="18" height="18">'
        '<use href="{}#{}"></use></svg>',
        static("portal/icons.svg"),
        name,
    )


@register.simple_tag
def tag(kind: str, text: Any) -> SafeString:
    """Show a status by word, shape and colour."""
    shape = icon(SHAPES.get(kind, "shape-dash"))
    return format_html('<span class="state state-{}">{}{}</span>', kind, shape, text)


@register.simple_tag
def money(amount: Decimal | None, currency: str) -> SafeString:
    """Show an amount to its last digit, at least with the decimals of its currency."""
    if amount is None:
        return format_html('<span class="unknown">{}</span>', _("unknown"))
    least = -int(minor_unit(currency).as_tuple().exponent)
    decimals = max(least, -int(amount.normalize().as_tuple().exponent))
    shown = number_format(amount, decimal_pos=decimals, use_l10n=True, force_grouping=True)
    return format_html('<span class="amount">{} <abbr>{}</abbr></span>', shown, currency)


@register.simple_tag
def quantity(value: Decimal | None, unit: str) -> SafeString:
    """Show a quantity without idle zeros."""
    if value is None:
        return format_html('<span class="unknown">{}</span>', _("unknown"))
    decimals = max(0, -int(value.normalize().as_tuple().exponent))
    shown = number_format(value, decimal_pos=decimals, use_l10n=True, force_grouping=True)
    return format_html('<span class="amount">{} {}</span>', shown, unit)


@register.simple_tag
def count(value: int) -> str:
    """Show a number of things."""
    return number_format(value, decimal_pos=0, use_l10n=True, force_grouping=True)


@register.simple_tag
def moment(instant: dt.datetime | None) -> SafeString:
    """Show an instant in the time zone of the pages, which is named; UTC on pointing at it."""
    if instant is None:
        return format_html("<span>{}</span>", "-")
    local = timezone.localtime(instant)
    return format_html(
        '<time datetime="{}" title="{} UTC">{} {}</time>',
        instant.astimezone(dt.UTC).isoformat(),
        f"{instant.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}",
        date_format(local, "j M Y H:i"),
        local.tzname(),
    )


@register.simple_tag
def deadline(instant: dt.datetime) -> SafeString:
    """Show until when something has to be done, and how long that is."""
    now = timezone.now()
    if instant < now:
        left = _("%s ago") % timesince(instant, now, depth=2)
    else:
        left = _("in %s") % timeuntil(instant, now, depth=2)
    return format_html('{} <span class="muted">({})</span>', moment(instant), left)


@register.simple_tag
def month(first_day: dt.date) -> str:
    """Name a month."""
    return date_format(first_day, "F Y")
