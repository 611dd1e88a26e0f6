"""The deeds of the audit trail in words."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from parties.models import Access, TrailEntry

WORDS: dict[str, Promise] = {
    "logged_in": _("logged in"),
    "login_failed": _("failed to log in"),
    "password_changed": _("changed the password"),
    "password_reset": _("reset the password"),
    "second_factor_added": _("added a second factor"),
    "second_factor_removed": _("removed the second factor"),
    "recovery_codes_made": _("made new recovery codes"),
    "invited": _("invited %(subject)s as %(access)s"),
    "invitation_revoked": _("revoked the invitation of %(subject)s"),
    "joined": _("joined as %(access)s"),
    "placed": _("gave %(subject)s the access %(access)s"),
    "access_changed": _("changed the access of %(subject)s from %(before)s to %(after)s"),
    "removed": _("removed %(subject)s, who was %(before)s"),
    "downloaded": _("downloaded %(subject)s"),
    "dispute_opened": _("opened the dispute %(subject)s (%(amount)s)"),
    "dispute_accepted": _("accepted the dispute %(subject)s (%(amount)s)"),
    "dispute_countered": _("offered a part in the dispute %(subject)s (%(amount)s)"),
    "dispute_rejected": _("rejected the dispute %(subject)s (%(amount)s)"),
    "dispute_escalated": _("escalated the dispute %(subject)s (%(amount)s) to the hub"),
    "dispute_withdrawn": _("withdrew the dispute %(subject)s (%(amount)s)"),
    "dispute_message": _("wrote in the dispute %(subject)s (%(amount)s)"),
    "dispute_silence": _("let silence decide the dispute %(subject)s (%(amount)s)"),
    "dispute_ruled": _("ruled about the dispute %(subject)s (%(amount)s)"),
    "dispute_settled": _("settled the dispute %(subject)s (%(amount)s)"),
    "statement_approved": _("approved the statement %(subject)s"),
    "statement_objected": _("objected to %(lines)s lines of the statement %(subject)s"),
    "exported": _("exported %(subject)s, %(rows)s rows"),
}


def deed_in_words(entry: TrailEntry) -> str:
    """Tell what an entry says; a deed without words is told by its name."""
    words = WORDS.get(entry.deed)
    told = {name: _named(value) for name, value in entry.told.items()}
    try:
        return str(words) % {"subject": entry.subject, **told} if words else _plain(entry)
    except KeyError:
        return _plain(entry)


def _named(value: object) -> str:
    text = str(value)
    return str(Access(text).label) if text in Access.values else text


def _plain(entry: TrailEntry) -> str:
    return f"{entry.deed} {entry.subject}".strip()
