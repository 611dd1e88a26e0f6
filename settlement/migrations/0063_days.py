"""Let PostgreSQL know how few days there are, so that its workers share the sums of a month."""

from django.conf import settings
from django.db import migrations

# of the expression in settlement/aggregating.py; in another zone it is only not used
DAYS = f"""
CREATE STATISTICS cdr_started_on
    ON ((started_at AT TIME ZONE '{settings.TIME_ZONE}')::date) FROM cdrs_cdr;
ANALYZE cdrs_cdr;
"""


class Migration(migrations.Migration):
    """Statistics of an expression."""

    dependencies = [("settlement", "0062_rules_for_services")]
    operations = [migrations.RunSQL(DAYS, "DROP STATISTICS cdr_started_on")]
