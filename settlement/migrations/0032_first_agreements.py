"""Give the parties of before there were agreements the terms that they have traded on."""

import datetime as dt
from typing import Any

from django.db import migrations

SINCE = dt.date(2020, 1, 1)
KINDS = {"CPO": "cpo", "EMSP": "emsp", "OTHER": "emsp"}


def take_over(apps: Any, schema_editor: Any) -> None:
    """Write a first version for each role of every party."""
    agreements = apps.get_model("settlement", "Agreement").objects
    roles = apps.get_model("parties", "Role").objects.filter(role__in=KINDS)
    for party, kind in sorted({(role.party_id, KINDS[role.role]) for role in roles}):
        agreements.create(party_id=party, kind=kind, valid_from=SINCE, note="taken over")


class Migration(migrations.Migration):
    """First agreements."""

    dependencies = [("settlement", "0031_closing_guards")]
    operations = [migrations.RunPython(take_over, migrations.RunPython.noop)]
