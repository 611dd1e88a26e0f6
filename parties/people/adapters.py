"""How the login library works here: who may come in, whose address is seen, how letters go."""

from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from hub import peers
from parties import keys
from parties.models import User
from parties.people import letters, trail
from parties.people.presence import came_lately

EVENTS = {  # letters that tell of a change to an account, as deeds in the audit trail
    "account/email/password_changed": "password_changed",
    "account/email/password_reset": "password_reset",
    "account/email/password_set": "password_changed",
    "mfa/email/totp_activated": "second_factor_added",
    "mfa/email/totp_deactivated": "second_factor_removed",
    "mfa/email/recovery_codes_generated": "recovery_codes_made",
}


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Accounts of people who were invited."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Let nobody in by themselves."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the address that the rest of the hub sees, too."""
        return peers.address(request) or "unknown"

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Say nothing of what one sees anyhow, such as being logged in."""
        template = args[2] if len(args) > 2 else kwargs.get("message_template", "")
        if template not in {
            "account/messages/logged_in.txt",
            "account/messages/logged_out.txt",
        }:
            super().add_message(*args, **kwargs)

    def post_login(self, request: HttpRequest, user: Any, **options: Any) -> HttpResponse:
        """Note a login in the trails of the person's parties."""
        trail.note_everywhere(user, "logged_in", request)
        response: HttpResponse = super().post_login(request, user, **options)
        return response

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Note a failed login of somebody there is."""
        email = str(credentials.get("email") or "").lower()
        if person := User.objects.filter(email=email).first():
            trail.note_everywhere(person, "login_failed", request)

    def is_reauthentication_required(self, *, app: str, **options: Any) -> bool:
        """Let a login count as having shown who one is, too."""
        return not came_lately(self.request)

    def send_notification_mail(
        self, template_prefix: str, user: Any, *args: Any, **kw: Any
    ) -> None:
        """Note a change to an account, and tell its person."""
        if deed := EVENTS.get(template_prefix):
            trail.note_everywhere(user, deed, self.request)
        super().send_notification_mail(template_prefix, user, *args, **kw)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Owe the letter instead of sending it while somebody waits."""
        told = {"request": self.request, "email": email, "site_name": settings.HUB_NAME, **context}
        told["current_site"] = {"name": settings.HUB_NAME, "domain": settings.HUB_BASE_URL}
        message = self.render_mail(template_prefix, email, told)
        paragraphs = [part.strip() for part in str(message.body).split("\n\n") if part.strip()]
        content = letters.Content(subject=str(message.subject), paragraphs=paragraphs)
        letters.write(email, template_prefix.rpartition("/")[2], content)

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Return a link to this hub, whatever host the request named."""
        return _ours(super().get_reset_password_from_key_url(key))

    def get_email_confirmation_url(self, *args: Any, **kwargs: Any) -> str:
        """Return a link to this hub, whatever host the request named."""
        return _ours(super().get_email_confirmation_url(*args, **kwargs))


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Second factors; what the database keeps of them is encrypted."""

    def encrypt(self, text: str) -> str:
        """Encrypt a secret with the hub's own."""
        return keys.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Decrypt such a secret."""
        return keys.unseal(encrypted_text)


def _ours(url: str) -> str:
    parts = urlsplit(url)
    return settings.HUB_BASE_URL + parts.path + (f"?{parts.query}" if parts.query else "")
