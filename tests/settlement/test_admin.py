"""The finance desk: what staff see, and what they may not."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from cdrs.models import Period
from parties.models import User
from settlement import clearing
from settlement.models import Document, Series
from tests.settlement import factory, test_documents
from tests.settlement.conftest import tampering
from tests.settlement.factory import CLOSING, MONTH

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("plain_static")]


def staff(*permissions: str) -> Client:
    user = User.objects.create_user(f"{len(permissions)}@hub.example", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def finance() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("finance@hub.example"))
    return client


def closed(parties: int = 1) -> Period:
    for number in range(parties):
        factory.cdrs(3, factory.cpo(f"FR-A{number:02}"), factory.emsp(f"DE-E{number:02}"))
    return clearing.close(MONTH, now=CLOSING)


MODELS = ("document", "series", "cell", "legalentity", "selfbillingagreement", "vatrule")
LISTS = [
    *(f"admin:settlement_{name}_changelist" for name in MODELS),
    "admin:cdrs_period_changelist",
]


@pytest.mark.parametrize("name", LISTS)
def test_a_list_costs_the_same_however_long(
    finance: Client, name: str, django_assert_num_queries: Any
) -> None:
    closed(2)
    first = _queries(finance, name)
    for number in range(2, 12):
        seller, payer = factory.cpo(f"FR-A{number:02}"), factory.emsp(f"DE-E{number:02}")
        factory.cdr(seller, payer, month=factory.dt.date(2024, 4, 1))
    clearing.close(factory.dt.date(2024, 4, 1), now=CLOSING, force=True)
    assert _queries(finance, name) <= first


def _queries(client: Client, name: str) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        assert client.get(reverse(name)).status_code == 200
    return len(queries)


@pytest.mark.parametrize("name", MODELS)
def test_each_page_opens(finance: Client, name: str) -> None:
    closed()
    listing = finance.get(reverse(f"admin:settlement_{name}_changelist"))
    row = listing.context["cl"].queryset.first()
    answer = finance.get(reverse(f"admin:settlement_{name}_change", args=[row.pk]))
    assert answer.status_code == 200
    assert "<script>" not in answer.content.decode()
    assert " style=" not in answer.content.decode()


def test_the_register_shows_exact_amounts_and_links(finance: Client) -> None:
    factory.cdrs(1000, factory.cpo("NL-AAA"), factory.emsp(), "0.3350")
    clearing.close(MONTH, now=CLOSING)
    page = finance.get(reverse("admin:settlement_document_changelist")).content.decode()
    document = Document.objects.get(kind="self_billing_invoice")
    for text in (document.number, "335.00", "70.35", "405.35"):
        assert f">{text}<" in page
    assert f'href="{_file(document, "pdf")}"' in page


def test_a_document_shows_its_lines_and_taxes(finance: Client) -> None:
    closed()
    document = Document.objects.get(kind="self_billing_invoice")
    page = finance.get(reverse("admin:settlement_document_change", args=[document.pk]))
    text = page.content.decode()
    for shown in ("DE*E00", "30.00", "AE 0.00 %", "61.5000"):
        assert shown in text


@pytest.mark.parametrize("kind", ["pdf", "xml", "ubl", "csv", "parquet"])
def test_a_file_comes_as_it_was_stored(kind: str) -> None:
    closed()
    document = Document.objects.first()
    stored = document.files.get(kind=kind)
    answer = staff("view_document").get(_file(document, kind))
    assert answer.content == bytes(stored.content)
    assert answer["Content-Disposition"] == f'attachment; filename="{stored.name}"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Type"] == stored.content_type


def test_a_file_needs_permission_and_has_to_exist(client: Client) -> None:
    closed()
    document = Document.objects.first()
    assert client.get(_file(document, "pdf")).status_code == 302
    assert staff("view_cell").get(_file(document, "pdf")).status_code == 403
    allowed = staff("view_document", "view_cell")
    assert allowed.get(_file(document, "exe")).status_code == 404


def _file(document: Document, kind: str) -> str:
    return reverse("admin:settlement_document_file", args=[document.pk, kind])


def test_the_register_says_whether_a_number_is_missing(finance: Client) -> None:
    closed()
    register, series = (reverse(f"admin:settlement_{x}_changelist") for x in ("document", "series"))
    assert "2 series, no number missing" in finance.get(register).content.decode()
    assert "icon-yes" in finance.get(series).content.decode()
    with tampering():
        Series.objects.filter(kind="emsp_invoice").update(last_no=2)
    assert "Numbers are missing in: OCN-S-DEE00-2024" in finance.get(register).content.decode()
    gaps = finance.get(series, {"gap": "yes"})
    assert [str(row) for row in gaps.context["cl"].result_list] == ["OCN-S-DEE00-2024"]
    page = reverse("admin:settlement_series_change", args=[Series.objects.get(last_no=2).pk])
    text = finance.get(page).content.decode()
    assert "OCN-S-DEE00-2024-000002: missing" in text
    assert ">OCN-S-DEE00-2024-000001</a>" in text


@pytest.mark.parametrize(
    ("query", "count"),
    [({"regime": "eu_vat"}, 2), ({"regime": "pro_forma"}, 0), ({"corrected": "yes"}, 0)],
)
def test_the_register_is_filtered(finance: Client, query: dict[str, str], count: int) -> None:
    closed()
    answer = finance.get(reverse("admin:settlement_document_changelist"), query)
    assert answer.context["cl"].result_count == count


def test_a_credit_note_and_its_document_lead_to_each_other(finance: Client) -> None:
    seller, payer = factory.cpo(), factory.emsp()
    run = test_documents.frozen_with(test_documents.credited(seller, payer))
    test_documents.issued(run)
    note = Document.objects.get(kind="self_billing_credit_note")
    for here, there in ((note, note.corrected), (note.corrected, note)):
        page = finance.get(reverse("admin:settlement_document_change", args=[here.pk]))
        link = reverse("admin:settlement_document_change", args=[there.pk])
        assert f'<a href="{link}">{there.number}</a>' in page.content.decode()


def test_nobody_edits_paper(finance: Client) -> None:
    closed()
    document = Document.objects.first()
    url = reverse("admin:settlement_document_change", args=[document.pk])
    assert finance.post(url, {"number": "X"}).status_code == 403
    assert finance.post(reverse("admin:settlement_document_add")).status_code == 403
    delete = reverse("admin:settlement_document_delete", args=[document.pk])
    assert finance.post(delete, {"post": "yes"}).status_code == 403


def test_overlapping_vat_rules_are_told_on_the_form(finance: Client) -> None:
    factory.cpo()
    answer = finance.post(
        reverse("admin:settlement_vatrule_add"),
        {
            "supplier_country": "EU",
            "customer_country": "NL",
            "supply_country": "*",
            "valid_from": "2024-01-01",
            "category": "AE",
            "rate": "0",
        },
    )
    assert answer.status_code == 200
    assert "one_vat_rule_at_a_time" in answer.content.decode()


# Closing a month


def test_a_month_is_closed_after_a_second_question(
    finance: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr("settlement.tasks.close_period.delay", asked.append)
    factory.cdrs(3, factory.cpo(), factory.emsp(), "0.3350")
    period = Period.objects.get()
    page = finance.get(reverse("admin:cdrs_period_change", args=[period.pk])).content.decode()
    close = reverse("admin:settlement_close_period", args=[period.pk])
    assert f'href="{close}"' in page
    question = finance.get(close).content.decode()
    assert "EUR 1.0050" in question
    assert asked == []
    assert finance.post(close).status_code == 302
    assert asked == [period.pk]


def test_closing_needs_its_own_permission() -> None:
    factory.cdr(factory.cpo(), factory.emsp())
    close = reverse("admin:settlement_close_period", args=[Period.objects.get().pk])
    assert staff("view_period").post(close).status_code == 403
    assert staff("view_period", "close_period").get(close).status_code == 200


def test_a_closed_month_is_not_offered_again(finance: Client) -> None:
    period = closed()
    page = finance.get(reverse("admin:cdrs_period_change", args=[period.pk])).content.decode()
    assert reverse("admin:settlement_close_period", args=[period.pk]) not in page
    assert "EUR 30.0000" in page
