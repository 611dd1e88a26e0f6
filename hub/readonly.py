"""Admin pages for what only the hub itself writes."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from hub.ocpi import json


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Shows; nothing is added, changed or deleted here, and big tables are not counted."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Refuse."""
        return False


class ReadOnlyInline(admin.TabularInline[Any, Any]):
    """Shows the rows that belong to another."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False


def pretty(value: Any) -> SafeString:
    """Return JSON as an indented, escaped block."""
    return format_html('<pre class="json">{}</pre>', json.pretty(value))
