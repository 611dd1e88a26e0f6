"""Model fields that more than one app needs."""

from typing import Any

from django.db import models
from psycopg.types.json import Jsonb

from hub.ocpi import json


class ExactJSONField(models.JSONField):
    """jsonb whose numbers are Decimal in Python and keep every digit, both ways."""

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        """Write with exact decimals."""
        return None if value is None else Jsonb(value, dumps=json.dumps)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Read with exact decimals; key transforms keep Django's own way."""
        return json.kept(value) if isinstance(value, str) else value
