"""A database that has documents is brought up to date: they are chained as they stand."""

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from settlement import clearing
from settlement.invariants import breaches
from settlement.models import Document
from tests.settlement import factory
from tests.settlement.factory import CLOSING, MONTH

MIGRATION = import_module("settlement.migrations.0011_kinds_and_chain")


@pytest.mark.django_db
def test_documents_of_before_are_chained_in_their_order() -> None:
    seller, payer = factory.cpo(), factory.emsp()
    factory.cdr(seller, payer, "10.0000", currency="KWD")  # no e-invoice, as there was none then
    clearing.close(MONTH, now=CLOSING)
    before = list(Document.objects.order_by("pk").values_list("number", "chain_no", "hash"))
    connection.check_constraints()
    MIGRATION.chain(apps, SimpleNamespace(connection=connection))
    after = Document.objects.order_by("pk").values_list("number", "chain_no", "hash")
    assert list(after) == before != []
    assert breaches() == []
