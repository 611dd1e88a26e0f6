"""What the bank has been handed is noted, even if its party is owed less by now.

A credit note, or the end of an account, may come between the file and the note; to refuse the note
would not bring money back.
"""

from importlib import import_module

from django.db import migrations

GUARDS = import_module("settlement.migrations.0041_money_guards").GUARDS
BEGIN = GUARDS.index("CREATE FUNCTION settlement_payout_guard()")
BEFORE = GUARDS[BEGIN : GUARDS.index("CREATE TRIGGER payout_guard")].replace(
    "CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"
)
LATE = "NEW.state NOT IN ('approved', 'batched', 'submitted')) THEN"
AFTER = BEFORE.replace(LATE, f"(OLD.state, NEW.state) = ('batched', 'submitted') OR {LATE}")


class Migration(migrations.Migration):
    """Let payouts of a file that was made be submitted whatever has come since."""

    dependencies = [("settlement", "0064_payment_statuses")]
    operations = [migrations.RunSQL(AFTER, BEFORE)]
