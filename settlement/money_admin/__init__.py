"""The money desk: receivables, bank, payouts and ledger, in the admin site."""

from django.contrib.admin import AdminSite

from settlement.money_admin import bank, ledger, payouts, receivables


def register(site: AdminSite) -> None:
    """Put the pages into an admin site."""
    for module in (receivables, bank, payouts, ledger):
        for model, page in module.PAGES:
            site.register(model, page)
