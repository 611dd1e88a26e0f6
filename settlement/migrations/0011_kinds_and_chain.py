"""Call statements to eMSPs what they are, chain what was issued before, name clearing states."""

import datetime as dt
import hashlib
import json

from django.db import migrations

RENAME = """
ALTER TABLE settlement_document DISABLE TRIGGER document_append_only;
ALTER TABLE settlement_series DISABLE TRIGGER series_guard;
UPDATE settlement_series SET kind = '{new}' WHERE kind = '{old}';
UPDATE settlement_document SET kind = '{new}', snapshot = snapshot || '{{"kind": "{new}"}}'
    WHERE kind = '{old}';
ALTER TABLE settlement_series ENABLE TRIGGER series_guard;
ALTER TABLE settlement_document ENABLE TRIGGER document_append_only;
"""
STATEMENT, INVOICE = "emsp_statement", "emsp_invoice"
TYPE_CODES = {"self_billing_invoice": "389", INVOICE: "380"}
SINCE = dt.date(2020, 1, 1)
CLEARANCE, PEPPOL = "clearance_required", "peppol_required"
CHANNELS = (
    ("AR", CLEARANCE, SINCE, "ARCA, CAE"),
    ("BE", PEPPOL, dt.date(2026, 1, 1), "B2B over Peppol"),
    ("BO", CLEARANCE, SINCE, "SIN"),
    ("BR", CLEARANCE, SINCE, "NF-e, NF3-e"),
    ("CL", CLEARANCE, SINCE, "SII, DTE"),
    ("CO", CLEARANCE, SINCE, "DIAN"),
    ("CR", CLEARANCE, SINCE, "Hacienda"),
    ("DO", CLEARANCE, SINCE, "DGII, e-CF"),
    ("EC", CLEARANCE, SINCE, "SRI"),
    ("FR", PEPPOL, dt.date(2026, 9, 1), "approved platforms, large and medium companies"),
    ("GT", CLEARANCE, SINCE, "SAT, FEL"),
    ("IT", CLEARANCE, SINCE, "SdI"),
    ("MX", CLEARANCE, SINCE, "CFDI 4.0"),
    ("PA", CLEARANCE, SINCE, "DGI"),
    ("PE", CLEARANCE, SINCE, "SUNAT"),
    ("PL", CLEARANCE, dt.date(2026, 2, 1), "KSeF"),
    ("PY", CLEARANCE, SINCE, "SIFEN"),
    ("RO", CLEARANCE, dt.date(2024, 1, 1), "RO e-Factura"),
    ("UY", CLEARANCE, SINCE, "DGI, CFE"),
)


def chain(apps, schema_editor):
    """Give every document what newer ones have, and its place in the chain, oldest first."""
    documents = apps.get_model("settlement", "Document").objects
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("ALTER TABLE settlement_document DISABLE TRIGGER document_append_only")
    before = "0" * 64
    for chain_no, document in enumerate(documents.order_by("pk").iterator(), start=1):
        said = {
            "type_code": TYPE_CODES[document.kind],
            "regime": "eu_vat",
            "channel": "pdf_ok",
            "e_invoice": False,
            "references": [],
            **document.snapshot,
        }
        text = json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()
        link = "\n".join((before, document.number, digest, ""))
        found = hashlib.sha256(link.encode()).hexdigest()
        documents.filter(pk=document.pk).update(
            snapshot=said, snapshot_sha256=digest, chain_no=chain_no, prev_hash=before, hash=found
        )
        before = found
    with schema_editor.connection.cursor() as cursor:
        # foreign keys are checked at the end, and PostgreSQL alters no table that waits for that
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE settlement_document ENABLE TRIGGER document_append_only")


def name_channels(apps, schema_editor):
    """Name the states that clear invoices themselves, as known in November 2026."""
    channels = apps.get_model("settlement", "LegalChannel").objects
    for country, channel, valid_from, note in CHANNELS:
        facts = {"channel": channel, "note": note}
        channels.get_or_create(country=country, valid_from=valid_from, defaults=facts)


class Migration(migrations.Migration):
    """Data only."""

    dependencies = [("settlement", "0010_documents")]
    operations = [
        migrations.RunSQL(
            RENAME.format(old=STATEMENT, new=INVOICE), RENAME.format(old=INVOICE, new=STATEMENT)
        ),
        migrations.RunPython(chain, migrations.RunPython.noop),
        migrations.RunPython(name_channels, migrations.RunPython.noop),
    ]
