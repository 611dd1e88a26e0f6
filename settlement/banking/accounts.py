"""Bank accounts: entered by one person, verified by another, usable after a while in live."""

import datetime as dt

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from stdnum import iban

from parties.models import Party, User
from settlement.models import BankAccount, LegalEntity

COOL_DOWN = dt.timedelta(hours=48)
SINCE = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)  # of made-up accounts: past months are paid, too


class NotVerified(Exception):
    """The account cannot be verified like this; the message says why, and nothing was changed."""


@transaction.atomic
def verify(account: BankAccount, by: User) -> BankAccount:
    """Put an account in the place of the one before; only somebody else than who entered it may.

    Raises NotVerified.
    """
    account = BankAccount.objects.select_for_update().get(pk=account.pk)
    if account.verified_at or account.ended_at:
        raise NotVerified("this account was decided about already")
    if account.created_by_id == by.pk:
        raise NotVerified("whoever entered an account cannot verify it")
    now = timezone.now()
    same = BankAccount.objects.in_use().filter(party=account.party, currency=account.currency)
    same.select_for_update().update(ended_at=now)
    account.verified_by, account.verified_at = by, now
    account.usable_from = now if settings.SANDBOX else now + COOL_DOWN
    account.save(update_fields=["verified_by", "verified_at", "usable_from"])
    return account


def reject(account: BankAccount) -> None:
    """Set aside an account that was entered and not verified. Raises NotVerified."""
    waiting = BankAccount.objects.filter(pk=account.pk, verified_at=None, ended_at=None)
    if not waiting.update(ended_at=timezone.now()):
        raise NotVerified("this account was decided about already")


def account_of(party: Party | None, currency: str) -> BankAccount | None:
    """Return the account in use of a party (nobody: the hub) in a currency.

    In the sandbox whoever has none gets one, made of the bank data of the company.
    """
    account = BankAccount.objects.in_use().filter(party=party, currency=currency).first()
    if account or not settings.SANDBOX:
        return account
    return seed(party, currency)


@transaction.atomic
def seed(party: Party | None, currency: str) -> BankAccount | None:
    """Make an account that counts as verified of the company's bank data, unless there is one."""
    entity = LegalEntity.objects.select_for_update().filter(party=party).first()
    if not settings.SANDBOX or entity is None or not entity.iban:
        return None
    known = BankAccount.objects.in_use().filter(party=party, currency=currency).first()
    if known:
        return known
    number = entity.iban.replace(" ", "").upper()
    return BankAccount.objects.create(
        party=party,
        currency=currency,
        holder=entity.account_name or entity.name[:70],
        **(
            {"iban": number}
            if iban.is_valid(number, check_country=False)
            else {"account_number": number}
        ),
        seeded=True,
        verified_at=SINCE,
        usable_from=SINCE,
    )
