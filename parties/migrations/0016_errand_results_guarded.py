"""What became of results so far, and the database's guards: errands move forward only."""

from django.db import migrations

RESULTS = """
UPDATE parties_errand SET
    results = greatest(results, 1),
    result_state = CASE WHEN delivered_at IS NULL THEN 'expired' ELSE 'brought' END
    WHERE result IS NOT NULL;
UPDATE parties_errand SET results = 0, delivered_at = NULL WHERE result IS NULL;
UPDATE parties_errand SET forwarded_at = created_at WHERE answered_at IS NOT NULL;
"""

FORWARD = """
DROP TRIGGER errand_moves_forward ON parties_errand;
CREATE TRIGGER errand_moves_forward BEFORE UPDATE ON parties_errand
    FOR EACH ROW WHEN (NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('received', 'accepted'), ('received', 'refused'), ('received', 'timeout'),
        ('received', 'done'), ('accepted', 'overdue'), ('accepted', 'done'),
        ('overdue', 'done'), ('timeout', 'done')))
    EXECUTE FUNCTION refuse('an errand moves forward only');
CREATE TRIGGER errand_result_moves_forward BEFORE UPDATE ON parties_errand
    FOR EACH ROW WHEN (NEW.results < OLD.results
        OR (NEW.results > OLD.results AND NEW.result_state <> 'owed')
        OR (NEW.results = OLD.results AND NEW.result_state <> OLD.result_state
            AND OLD.result_state <> 'owed'))
    EXECUTE FUNCTION refuse('the result of an errand moves forward only');
"""

BACKWARD = """
DROP TRIGGER errand_result_moves_forward ON parties_errand;
DROP TRIGGER errand_moves_forward ON parties_errand;
UPDATE parties_errand SET state = 'accepted' WHERE state = 'overdue';
CREATE TRIGGER errand_moves_forward BEFORE UPDATE ON parties_errand
    FOR EACH ROW WHEN (NEW.state <> OLD.state AND (OLD.state IN ('done', 'refused')
        OR NEW.state = 'received' OR (OLD.state IN ('accepted', 'timeout') AND NEW.state <> 'done')))
    EXECUTE FUNCTION refuse('an errand moves forward only');
"""


class Migration(migrations.Migration):
    """Results of before were passed on at once or never."""

    dependencies = [("parties", "0015_errand_results_owed")]
    operations = [
        migrations.RunSQL(RESULTS, migrations.RunSQL.noop),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
