"""The database's own guards on debts: what is owed of a CDR stays on record."""

from django.db import migrations

FORWARD = """
-- what a trigger forbids whenever it fires; its argument says so in words
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER delivery_of_one_object_to_one_receiver BEFORE UPDATE ON parties_delivery
    FOR EACH ROW WHEN ((NEW.id, NEW.receiver_id, NEW.module, NEW.object_id)
        IS DISTINCT FROM (OLD.id, OLD.receiver_id, OLD.module, OLD.object_id))
    EXECUTE FUNCTION refuse('a delivery stays that of its object to its receiver');
CREATE TRIGGER delivery_of_money_kept BEFORE DELETE ON parties_delivery
    FOR EACH ROW WHEN (OLD.module = 'cdrs')
    EXECUTE FUNCTION refuse('the delivery of a CDR is never deleted');
CREATE TRIGGER delivery_never_truncated BEFORE TRUNCATE ON parties_delivery
    EXECUTE FUNCTION refuse('the delivery of a CDR is never deleted');
"""

BACKWARD = """
DROP TRIGGER delivery_never_truncated ON parties_delivery;
DROP TRIGGER delivery_of_money_kept ON parties_delivery;
DROP TRIGGER delivery_of_one_object_to_one_receiver ON parties_delivery;
DROP FUNCTION refuse();
"""


class Migration(migrations.Migration):
    """Triggers on deliveries, and the function that the apps above refuse with, too."""

    dependencies = [("parties", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
