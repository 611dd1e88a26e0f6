"""Letters to people: written in the transaction that is their reason, sent until they have gone."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from hub import portal
from parties import waking
from parties.models import Letter

logger = logging.getLogger(__name__)
PAUSES = [timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240, 720, 1440)]
TASK = "parties.send_letters"


@dataclass(frozen=True)
class Content:
    """What a letter says; text and HTML are made of the same words.

    `path` is where its one button leads, on this hub.
    """

    subject: str
    paragraphs: Sequence[str]
    button: str = ""
    path: str = ""
    reason: str = ""


def write(to: str, about: str, content: Content, *, language: str = "en", code: str = "") -> Letter:
    """Owe somebody a letter; `code` is the party that it concerns, CC-PID.

    It goes with the transaction, so nobody hears of what did not happen.
    """
    with translation.override(language):
        subject = _subject(content.subject, code)
        told = {"content": content, "subject": subject, **portal.identity()}
        told["url"] = settings.HUB_BASE_URL + content.path if content.path else ""
        letter = Letter.objects.create(
            to=to,
            about=about,
            subject=subject[:200],
            text=render_to_string("mail/letter.txt", told).strip() + "\n",
            html=render_to_string("mail/letter.html", told),
        )
    transaction.on_commit(partial(waking.start, TASK), robust=True)
    return letter


def _subject(text: str, code: str) -> str:
    """Write a subject in the one grammar: where from, about whom, what to do."""
    marks = [settings.HUB_NAME, code, _("Sandbox") if settings.SANDBOX else ""]
    line = "".join(f"[{mark}]" for mark in marks if mark)
    return " ".join(f"{line} {text}".split())


def send_due() -> int:
    """Send what is due and return how much was sent; several workers may do this at once."""
    sent = 0
    while (outcome := _send_next()) is not None:
        sent += outcome
    return sent


@transaction.atomic
def _send_next() -> bool | None:
    """Send one letter under the lock of its row; None if there is none to send."""
    rows = Letter.objects.select_for_update(skip_locked=True)
    letter = rows.filter(due_at__lte=timezone.now()).order_by("due_at").first()
    if letter is None:
        return None
    letter.attempts += 1
    try:
        _send(letter)
    except Exception as error:
        _put_off(letter, error)
        return False
    letter.sent_at, letter.due_at, letter.error = timezone.now(), None, ""
    letter.text = letter.html = ""
    letter.save()
    return True


def _send(letter: Letter) -> None:
    message = EmailMultiAlternatives(letter.subject, letter.text, to=[letter.to])
    message.extra_headers = {"Auto-Submitted": "auto-generated"}
    message.attach_alternative(letter.html, "text/html")
    message.send()


def _put_off(letter: Letter, error: Exception) -> None:
    """Try again later, after the last pause never: then a person has to look."""
    logger.warning("a letter could not be sent", extra={"letter": letter.pk, "about": letter.about})
    letter.error = f"{type(error).__name__}: {error}"[:200]
    left = PAUSES[letter.attempts - 1 :]
    letter.due_at = timezone.now() + left[0] if left else None
    letter.save(update_fields=["attempts", "error", "due_at"])
