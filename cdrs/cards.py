"""How this month's CDRs are, on the first page of the portal."""

from collections.abc import Iterator

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cdrs import explorer
from cdrs.explorer import Filters, Side, Total
from cdrs.periods import month_of
from hub.portal import Card
from parties.people.access import Area
from parties.people.shell import Seat


def of(seat: Seat) -> Iterator[Card]:
    """Tell how many CDRs this month has, what they come to, and what is held of them."""
    if not seat.may(Area.CDRS):
        return
    month = month_of(timezone.now())
    for side, on in ((Side.SOLD, seat.sells), (Side.BOUGHT, seat.buys)):
        if on:
            found = explorer.of_party(seat.party, side)
            totals = explorer.totals(explorer.matching(found, side, Filters(month=month)))
            query = f"?side={side}&month={month:%Y-%m}"
            yield _card(side, totals, seat.url("portal_cdrs") + query)


def _card(side: Side, totals: list[Total], url: str) -> Card:
    count, held = sum(item.cdrs for item in totals), sum(item.held for item in totals)
    title = _("CDRs sent this month") if side is Side.SOLD else _("CDRs received this month")
    sums = [f"{item.total:,.2f} {item.currency}" for item in totals]
    words = ngettext("%d is held.", "%d are held.", held) % held if held else _("None is held.")
    return Card(
        title=title,
        figures=[f"{count:,}", *sums],
        text=words if count else _("The first one will be counted here."),
        url=url,
        tag=("held" if held else "ok") if count else "",
        state=_("Held") if held else _("Validated"),
    )
