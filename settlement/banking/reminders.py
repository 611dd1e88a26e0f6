"""Write to who is late: a reminder per step of the ladder, each once, as plain text."""

import logging
from collections.abc import Iterator

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _

from hub.money import minor_unit
from settlement.models import BillingContact, LegalEntity, Receivable, Reminder

logger = logging.getLogger(__name__)
State = Receivable.State


def send_due() -> int:
    """Send what was not sent, and return how much was; one that fails is tried again next time.

    A reminder of what has been paid in between is not sent. Each is locked while it is sent, and
    keeps its Message-ID, so that a mail sent twice after a crash is shown once.
    """
    waiting = Reminder.objects.filter(sent_at=None).order_by("pk").values_list("pk", flat=True)
    return sum(_send(pk) for pk in list(waiting))


@transaction.atomic
def _send(pk: int) -> bool:
    rows = Reminder.objects.select_for_update(skip_locked=True, of=("self",))
    reminder = rows.select_related("receivable__party").filter(pk=pk, sent_at=None).first()
    if reminder is None or reminder.receivable.state != reminder.level:
        return False
    to = list(_addresses(reminder))
    if not to:
        logger.warning("no billing contact for a reminder", extra={"reminder": pk})
        return False
    try:
        letter(reminder, to).send()
    except OSError:
        logger.exception("a reminder could not be sent", extra={"reminder": pk})
        return False
    reminder.sent_at, reminder.sent_to = timezone.now(), ", ".join(to)
    reminder.save(update_fields=["sent_at", "sent_to"])
    return True


def _addresses(reminder: Reminder) -> Iterator[str]:
    contacts = BillingContact.objects.filter(party=reminder.receivable.party)
    yield from contacts.values_list("email", flat=True)


def letter(reminder: Reminder, to: list[str]) -> EmailMessage:
    """Return the mail of a reminder."""
    receivable = reminder.receivable
    hub = LegalEntity.objects.filter(party=None).first()
    unit = minor_unit(receivable.currency)
    context = {
        "reminder": reminder,
        "receivable": receivable,
        "document": receivable.document,
        "open": f"{receivable.settled.open.quantize(unit):f}",
        "amount": f"{receivable.amount.quantize(unit):f}",
        "hub": hub,
        "sandbox": settings.SANDBOX,
        "last": reminder.level in {State.OVERDUE_3, State.SUSPENDED, State.COLLECTION},
    }
    party = receivable.party
    subject = _("[{hub}][{party}] Payment of {number} is late: {open} {currency}").format(
        hub=settings.HUB_NAME,
        party=party.address.code,
        number=receivable.document.number,
        open=context["open"],
        currency=receivable.currency,
    )
    body = render_to_string("settlement/reminder.txt", context)
    host = settings.HUB_BASE_URL.split("://")[1].split(":")[0].split("/")[0]
    headers = {"Message-ID": f"<reminder-{reminder.pk}@{host}>", "Auto-Submitted": "auto-generated"}
    return EmailMessage(subject, body, to=to, headers=headers)
