"""What the open month comes to, on the first page of the portal."""

from collections.abc import Iterator

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from cdrs.explorer import Side
from cdrs.models import Period
from hub.portal import Card
from parties.people.access import Area
from parties.people.shell import Seat
from settlement import previewing
from settlement.calendar import due_at


def of(seat: Seat) -> Iterator[Card]:
    """Tell what each side would be paid or pay if the latest open month closed now."""
    if not seat.may(Area.PAPERS):
        return
    now = timezone.now()
    for period in previewing.open_periods(now)[-1:]:
        for side, on in ((Side.SOLD, seat.sells), (Side.BOUGHT, seat.buys)):
            if on:
                yield _card(seat, side, period)


def _card(seat: Seat, side: Side, period: Period) -> Card:
    sums = previewing.totals(previewing.preview(seat.party, side, period, timezone.now()))
    month = date_format(period.month, "F")
    names = {"month": month, "day": date_format(due_at(period), "j F")}
    title = (
        _("You would receive for %(month)s") if side is Side.SOLD else _("You owe for %(month)s")
    )
    return Card(
        title=title % names,
        figures=[f"{amount:,.2f} {currency}" for currency, amount in sums.items()] or ["0"],
        text=_("As it stands now; the month closes on %(day)s.") % names,
        url=f"{seat.url('portal_preview')}?side={side}&month={period}",
    )
