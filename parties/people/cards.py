"""How the party's connections are, on the first page."""

from collections.abc import Iterator

from django.db.models import Count, F, Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from hub.portal import Card
from parties.models import Platform
from parties.people.access import Area
from parties.people.shell import Seat

OWED = Q(roles__deliveries__state="live") & Q(
    roles__deliveries__wanted__gt=F("roles__deliveries__acknowledged")
)
TAGS = {
    Platform.State.CONNECTED: "ok",
    Platform.State.PUSH_ONLY: "progress",
    Platform.State.INVITED: "waiting",
}


def of(seat: Seat) -> Iterator[Card]:
    """Tell how each platform of the party is connected, and what it is owed."""
    if not seat.may(Area.NETWORK):
        return
    platforms = Platform.objects.filter(roles__party=seat.party).distinct()
    for platform in platforms.annotate(owed=Count("roles__deliveries", OWED)):
        owed = int(platform.owed)
        text = ngettext("%d object waits for it.", "%d objects wait for it.", owed) % owed
        yield Card(
            title=_("Connection"),
            figures=[platform.name],
            text=text if owed else _("Nothing waits to be delivered."),
            tag=TAGS.get(Platform.State(platform.state), "bad"),
            state=platform.get_state_display(),
        )
