"""The finance desk: documents and cells; months and terms are in files of their own."""

from django.contrib import admin

from hub.readonly import ReadOnlyAdmin
from parties.models import Platform
from settlement import answers, cockpit, money_admin, terms  # noqa: F401 - more desks
from settlement.connections import ConnectionAdmin
from settlement.dispute_desk.case import DisputeAdmin
from settlement.documents_admin import DocumentAdmin, LegalChannelAdmin, SeriesAdmin
from settlement.models import (
    Cell,
    Dispute,
    Document,
    LegalChannel,
    Series,
)

admin.site.register(Document, DocumentAdmin)
admin.site.register(Dispute, DisputeAdmin)
admin.site.register(Series, SeriesAdmin)
admin.site.register(LegalChannel, LegalChannelAdmin)
admin.site.unregister(Platform)
admin.site.register(Platform, ConnectionAdmin)
money_admin.register(admin.site)


@admin.register(Cell)
class CellAdmin(ReadOnlyAdmin):
    """Settlement cells."""

    list_display = (
        *("period", "supply_month", "cpo", "emsp", "country", "currency", "credit"),
        *("cdr_count", "energy_kwh", "total", "net"),
    )
    list_filter = ("period", "currency", "credit", "cpo", "emsp")
    list_select_related = ("period", "cpo", "emsp")
    show_full_result_count = False
