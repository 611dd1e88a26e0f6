"""Paper: the documents that bill settlement cells."""

from decimal import Decimal
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from cdrs.models import Period
from hub.fields import ExactJSONField
from hub.money import minor_unit
from parties.models import Party
from settlement.models.agreements import LegalEntity, VatRule
from settlement.models.cells import Cell


class Kind(models.TextChoices):
    """What a document is."""

    SELF_BILLING = "self_billing_invoice", _("self-billing invoice")
    STATEMENT = "emsp_statement", _("eMSP statement")


class Series(models.Model):
    """The numbers of one party's documents of a kind in a year: 1, 2, 3, without a gap.

    The row is locked in the transaction that issues a document; a rollback gives the number back.
    """

    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices)
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

    def lacking(self, kind: str) -> "DocumentQuerySet":
        """Keep those that have no file of a kind."""
        return self.exclude(files__kind=kind)


class Document(models.Model):
    """An issued document. Its snapshot says all that is printed; nothing of it ever changes."""

    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices)
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
    snapshot = ExactJSONField(_("snapshot"))
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    objects = DocumentQuerySet.as_manager()

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        ordering = ["-issued_on", "kind", "number"]
        constraints = [
            models.UniqueConstraint(
                fields=["period", "party", "kind", "currency"], name="one_document_per_month"
            ),
            models.UniqueConstraint(fields=["series", "seq"], name="number_used_once"),
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="document_kind_known"),
            models.CheckConstraint(condition=Q(net__gte=0), name="document_not_negative"),
            models.CheckConstraint(
                condition=Q(gross=F("net") + F("tax")), name="gross_is_net_and_tax"
            ),
        ]

    def __str__(self) -> str:
        return self.number

    def spelled(self, value: Decimal) -> str:
        """Write one of its amounts with the decimals of its currency."""
        return f"{value.quantize(minor_unit(self.currency)):f}"


class DocumentLine(models.Model):
    """A cell on a document; a cell stands on one document per side, never on two."""

    class Side(models.TextChoices):
        PAYABLE = "AP", _("the hub pays")
        RECEIVABLE = "AR", _("the hub is paid")

    document = models.ForeignKey(Document, on_delete=models.PROTECT, related_name="lines")
    no = models.PositiveIntegerField(_("line"))
    cell = models.ForeignKey(Cell, on_delete=models.PROTECT, related_name="lines")
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
        CSV = "csv", "CSV"

    TYPES: ClassVar = {Kind.PDF: "application/pdf", Kind.CSV: "text/csv; charset=utf-8"}

    document = models.ForeignKey(Document, on_delete=models.PROTECT, related_name="files")
    kind = models.CharField(_("kind"), max_length=3, choices=Kind.choices)
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
            models.CheckConstraint(condition=Q(kind__in=["pdf", "csv"]), name="file_kind_known"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def content_type(self) -> str:
        """Return what the bytes are."""
        return self.TYPES[self.Kind(self.kind)]
