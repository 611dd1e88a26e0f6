"""Give every role of a network that exists already its ClientInfo."""

from django.db import migrations
from django.utils import timezone

STATUS = {
    "invited": "PLANNED",
    "push_only": "CONNECTED",
    "connected": "CONNECTED",
    "offline": "OFFLINE",
    "suspended": "SUSPENDED",
}


def tell(apps, schema_editor):
    """Write them; whoever is connected finds them in the list, or is told the next change."""
    info, now = apps.get_model("parties", "ClientInfo"), timezone.now().replace(microsecond=0)
    for role in apps.get_model("parties", "Role").objects.select_related("party", "platform"):
        party, status = role.party, STATUS[role.platform.state]
        body = {
            "party_id": party.party_id,
            "country_code": party.country_code,
            "role": role.role,
            "status": status,
            "last_updated": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        values = {"status": status, "body": body, "last_updated": now}
        info.objects.get_or_create(owner=party, uid=role.role, defaults=values)


class Migration(migrations.Migration):
    """One row for each role."""

    dependencies = [("parties", "0004_alive")]
    operations = [migrations.RunPython(tell, migrations.RunPython.noop)]
