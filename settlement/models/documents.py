"""Paper: the documents that bill settlement cells and fees, and their files."""

import hashlib
import json
from decimal import Decimal
from typing import Any, ClassVar

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cdrs.models import Period
from hub.fields import ExactJSONField
from hub.money import minor_unit
from parties.models import Party
from settlement.models.cells import Cell
from settlement.models.companies import LegalEntity
from settlement.models.fees import Fee
from settlement.models.vat import VatRule


class Kind(models.TextChoices):
    """What a document is."""

    SELF_BILLING = "self_billing_invoice", _("self-billing invoice")
    SELF_BILLING_CREDIT = "self_billing_credit_note", _("self-billing credit note")
    INVOICE = "emsp_invoice", _("eMSP invoice")
    CREDIT = "emsp_credit_note", _("eMSP credit note")
    FEE = "fee_invoice", _("fee invoice")

    @property
    def type_code(self) -> str:
        """Return its code of UNTDID 1001, BT-3 of an e-invoice."""
        return TYPE_CODES[self]

    @property
    def self_billed(self) -> bool:
        """Tell whether the hub draws it up as the customer."""
        return self in (Kind.SELF_BILLING, Kind.SELF_BILLING_CREDIT)

    @property
    def corrects(self) -> "Kind | None":
        """Return which kind a credit note corrects; None for anything else."""
        return CORRECTED.get(self)


TYPE_CODES = {
    Kind.SELF_BILLING: "389",
    Kind.SELF_BILLING_CREDIT: "261",
    Kind.INVOICE: "380",
    Kind.CREDIT: "381",
    Kind.FEE: "380",
}
CORRECTED = {Kind.SELF_BILLING_CREDIT: Kind.SELF_BILLING, Kind.CREDIT: Kind.INVOICE}
CREDIT_NOTES = [kind.value for kind in CORRECTED]
NO_HASH = "0" * 64  # before the first document of the chain


class Regime(models.TextChoices):
    """Under what law a document stands."""

    EU_VAT = "eu_vat", _("VAT invoice")
    US_STATEMENT = "us_statement", _("settlement statement, outside VAT")
    PRO_FORMA = "pro_forma", _("pro forma, where the state clears invoices itself")


class LegalChannel(models.Model):
    """How invoices of a country's suppliers must reach their customers, from a day on.

    A country without a row asks for nothing. What must be cleared by the state first is only
    issued pro forma here.
    """

    class Channel(models.TextChoices):
        PDF_OK = "pdf_ok", _("any form the parties agree on")
        PEPPOL = "peppol_required", _("structured, over Peppol or a platform of the state")
        CLEARANCE = "clearance_required", _("cleared by the state before it exists")

    country = models.CharField(_("country of the supplier"), max_length=2)
    channel = models.CharField(_("channel"), max_length=18, choices=Channel.choices)
    valid_from = models.DateField(_("valid from"))
    note = models.CharField(_("note"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("legal channel")
        verbose_name_plural = _("legal channels")
        ordering = ["country", "-valid_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["country", "valid_from"], name="one_legal_channel_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(country__regex="^[A-Z]{2}$"), name="channel_country_in_upper_case"
            ),
            models.CheckConstraint(
                condition=Q(channel__in=["pdf_ok", "peppol_required", "clearance_required"]),
                name="channel_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.country}: {self.get_channel_display()}"


class Series(models.Model):
    """The numbers of one party's documents of a kind in a year: 1, 2, 3, without a gap.

    The row is locked in the transaction that issues a document; a rollback gives the number back.
    """

    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(_("kind"), max_length=30, choices=Kind.choices)
    year = models.PositiveSmallIntegerField(_("year of issue"))
    prefix = models.CharField(_("prefix"), max_length=30)
    last_no = models.PositiveIntegerField(_("last number"), default=0)

    class Meta:
        verbose_name = _("series of numbers")
        verbose_name_plural = _("series of numbers")
        constraints = [
            models.UniqueConstraint(
                fields=["party", "kind", "year"], name="one_series_per_party_and_year"
            ),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="series_kind_known"),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}-{self.year}"

    def number(self, seq: int) -> str:
        """Spell one of its numbers."""
        return f"{self.prefix}-{self.year}-{seq:06}"


class DocumentQuerySet(models.QuerySet["Document"]):
    """Documents."""

    def unfinished(self) -> "DocumentQuerySet":
        """Keep those that rendering still owes a file: the PDF, or the other form of an annex."""
        of = DocumentFile.objects.filter(document=OuterRef("pk"))
        pdf, csv, parquet = (Exists(of.filter(kind=kind)) for kind in ("pdf", "csv", "parquet"))
        return self.filter(~pdf | (csv & ~parquet))


class Document(models.Model):
    """An issued document. Its snapshot says all that is printed; nothing of it ever changes."""

    kind = models.CharField(_("kind"), max_length=30, choices=Kind.choices)
    series = models.ForeignKey(Series, on_delete=models.PROTECT, related_name="documents")
    seq = models.PositiveIntegerField(_("number in its series"))
    number = models.CharField(_("number"), max_length=42, unique=True)
    period = models.ForeignKey(
        Period, verbose_name=_("period"), on_delete=models.PROTECT, related_name="documents"
    )
    party = models.ForeignKey(
        Party, verbose_name=_("party"), on_delete=models.PROTECT, related_name="documents"
    )
    supplier = models.ForeignKey(LegalEntity, on_delete=models.PROTECT, related_name="+")
    customer = models.ForeignKey(LegalEntity, on_delete=models.PROTECT, related_name="+")
    currency = models.CharField(_("currency"), max_length=3)
    issued_on = models.DateField(_("date of issue"))
    due_on = models.DateField(_("due on"))
    net = models.DecimalField(_("net"), max_digits=18, decimal_places=4)
    tax = models.DecimalField(_("VAT"), max_digits=18, decimal_places=4)
    gross = models.DecimalField(_("gross"), max_digits=18, decimal_places=4)
    corrected = models.ForeignKey(
        "self",
        verbose_name=_("corrects"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="credit_notes",
        help_text=_("the earlier document that a credit note takes back from"),
    )
    snapshot = ExactJSONField(_("snapshot"))
    snapshot_sha256 = models.CharField(_("SHA-256 of the snapshot"), max_length=64)
    xml_sha256 = models.CharField(
        _("SHA-256 of the e-invoice"), max_length=64, blank=True, help_text=_("empty: has none")
    )
    chain_no = models.PositiveBigIntegerField(_("place in the chain"), unique=True)
    prev_hash = models.CharField(_("hash before it in the chain"), max_length=64)
    hash = models.CharField(_("hash"), max_length=64)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    objects = DocumentQuerySet.as_manager()

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        ordering = ["-issued_on", "kind", "number"]
        constraints = [
            models.UniqueConstraint(
                fields=["period", "party", "kind", "currency", "corrected"],
                nulls_distinct=False,
                name="one_document_per_month",
            ),
            models.UniqueConstraint(fields=["series", "seq"], name="number_used_once"),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="document_kind_known"),
            models.CheckConstraint(condition=Q(net__gte=0), name="document_not_negative"),
            models.CheckConstraint(
                condition=Q(gross=F("net") + F("tax")), name="gross_is_net_and_tax"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=CREDIT_NOTES, corrected__isnull=False)
                | (~Q(kind__in=CREDIT_NOTES) & Q(corrected=None)),
                name="credit_notes_say_what_they_correct",
            ),
        ]

    def __str__(self) -> str:
        return self.number

    def spelled(self, value: Decimal) -> str:
        """Write one of its amounts with the decimals of its currency."""
        return f"{value.quantize(minor_unit(self.currency)):f}"

    def seal(self) -> None:
        """Set the digest of the snapshot, and the hash that chains it to the one before.

        `prev_hash`, `number` and `xml_sha256` are to be set. The database computes the hash again.
        """
        self.snapshot_sha256 = digest_of(self.snapshot)
        self.hash = chained(self.prev_hash, self.number, self.snapshot_sha256, self.xml_sha256)


def canonical(snapshot: dict[str, Any]) -> str:
    """Write a snapshot as JSON in one way: sorted keys, no spaces."""
    return json.dumps(snapshot, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def digest_of(snapshot: dict[str, Any]) -> str:
    """Return the SHA-256 of a snapshot as canonical JSON in UTF-8."""
    return hashlib.sha256(canonical(snapshot).encode()).hexdigest()


def chained(prev_hash: str, number: str, snapshot_sha256: str, xml_sha256: str) -> str:
    """Return the hash of a document: SHA-256 over these four, line by line."""
    link = "\n".join((prev_hash, number, snapshot_sha256, xml_sha256))
    return hashlib.sha256(link.encode()).hexdigest()


class DocumentLine(models.Model):
    """A cell or a fee on a document.

    A cell stands on one document per side, never on two, a fee on one. On a credit note the amount
    of a cell changes its sign.
    """

    class Side(models.TextChoices):
        PAYABLE = "AP", _("the hub pays")
        RECEIVABLE = "AR", _("the hub is paid")

    document = models.ForeignKey(Document, on_delete=models.PROTECT, related_name="lines")
    no = models.PositiveIntegerField(_("line"))
    cell = models.ForeignKey(
        Cell, on_delete=models.PROTECT, null=True, blank=True, related_name="lines"
    )
    fee = models.OneToOneField(
        Fee, on_delete=models.PROTECT, null=True, blank=True, related_name="line"
    )
    side = models.CharField(_("side"), max_length=2, choices=Side.choices)
    vat_category = models.CharField(
        _("VAT category"), max_length=2, choices=VatRule.Category.choices
    )
    vat_rate = models.DecimalField(_("VAT rate (%)"), max_digits=5, decimal_places=2)
    net = models.DecimalField(_("net"), max_digits=18, decimal_places=4)

    class Meta:
        verbose_name = _("line")
        verbose_name_plural = _("lines")
        ordering = ["no"]
        constraints = [
            models.UniqueConstraint(fields=["document", "no"], name="line_number_used_once"),
            models.UniqueConstraint(fields=["cell", "side"], name="cell_billed_once_per_side"),
            models.CheckConstraint(condition=Q(side__in=["AP", "AR"]), name="side_known"),
            models.CheckConstraint(
                condition=Q(cell=None, fee__isnull=False) | Q(cell__isnull=False, fee=None),
                name="line_is_a_cell_or_a_fee",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.document} / {self.no}"


class DocumentTax(models.Model):
    """The VAT of one category and rate on a document, on the sum of its rounded lines."""

    document = models.ForeignKey(Document, on_delete=models.PROTECT, related_name="taxes")
    category = models.CharField(_("category"), max_length=2, choices=VatRule.Category.choices)
    rate = models.DecimalField(_("rate (%)"), max_digits=5, decimal_places=2)
    base = models.DecimalField(_("taxable amount"), max_digits=18, decimal_places=4)
    tax = models.DecimalField(_("VAT"), max_digits=18, decimal_places=4)
    note = models.CharField(_("note"), max_length=310, blank=True)

    class Meta:
        verbose_name = _("VAT")
        verbose_name_plural = _("VAT")
        ordering = ["category", "rate"]
        constraints = [
            models.UniqueConstraint(
                fields=["document", "category", "rate"], name="one_tax_per_category_and_rate"
            )
        ]

    def __str__(self) -> str:
        return f"{self.document}: {self.category} {self.rate} %"


class DocumentFile(models.Model):
    """A file of a document, byte for byte."""

    class Kind(models.TextChoices):
        PDF = "pdf", "PDF"
        XML = "xml", "CII"
        UBL = "ubl", "UBL"
        CSV = "csv", "CSV"
        PARQUET = "parquet", "Parquet"

    TYPES: ClassVar = {
        Kind.PDF: "application/pdf",
        Kind.XML: "application/xml",
        Kind.UBL: "application/xml",
        Kind.CSV: "text/csv; charset=utf-8",
        Kind.PARQUET: "application/vnd.apache.parquet",
    }
    SUFFIXES: ClassVar = {Kind.XML: "cii.xml", Kind.UBL: "ubl.xml"}

    document = models.ForeignKey(Document, on_delete=models.PROTECT, related_name="files")
    kind = models.CharField(_("kind"), max_length=7, choices=Kind.choices)
    name = models.CharField(_("name"), max_length=60)
    content = models.BinaryField(_("content"))
    sha256 = models.CharField("SHA-256", max_length=64)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    class Meta:
        verbose_name = _("file")
        verbose_name_plural = _("files")
        ordering = ["kind"]
        constraints = [
            models.UniqueConstraint(fields=["document", "kind"], name="one_file_of_a_kind"),
            models.CheckConstraint(
                condition=Q(kind__in=["pdf", "xml", "ubl", "csv", "parquet"]),
                name="file_kind_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def holding(cls, kind: str, number: str, content: bytes) -> "DocumentFile":
        """Return the file of a document's number with a content, named and with its digest."""
        name = f"{number}.{cls.SUFFIXES.get(cls.Kind(kind), kind)}"
        digest = hashlib.sha256(content).hexdigest()
        return cls(kind=kind, name=name, content=content, sha256=digest)

    @property
    def content_type(self) -> str:
        """Return what the bytes are."""
        return self.TYPES[self.Kind(self.kind)]
