"""The database's own guards on errands: what was asked of whom stays, and states move forward."""

from django.db import migrations

FORWARD = """
CREATE TRIGGER errand_of_one_request BEFORE UPDATE ON parties_errand
    FOR EACH ROW WHEN ((NEW.id, NEW.digest, NEW.module, NEW.action, NEW.sender_id,
            NEW.receiver_id, NEW.subject, NEW.response_url, NEW.created_at)
        IS DISTINCT FROM (OLD.id, OLD.digest, OLD.module, OLD.action, OLD.sender_id,
            OLD.receiver_id, OLD.subject, OLD.response_url, OLD.created_at))
    EXECUTE FUNCTION refuse('an errand stays what was asked of whom');
CREATE TRIGGER errand_moves_forward BEFORE UPDATE ON parties_errand
    FOR EACH ROW WHEN (NEW.state <> OLD.state AND (OLD.state IN ('done', 'refused')
        OR NEW.state = 'received' OR (OLD.state IN ('accepted', 'timeout') AND NEW.state <> 'done')))
    EXECUTE FUNCTION refuse('an errand moves forward only');
"""

BACKWARD = """
DROP TRIGGER errand_moves_forward ON parties_errand;
DROP TRIGGER errand_of_one_request ON parties_errand;
"""


class Migration(migrations.Migration):
    """Triggers on errands."""

    dependencies = [("parties", "0006_errands_delivered")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
