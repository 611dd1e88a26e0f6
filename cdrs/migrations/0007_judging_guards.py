"""The database's own guards on judging: verdicts and decisions stay, and no CDR goes unexplained."""

from django.db import migrations

FORWARD = """
CREATE TRIGGER verdict_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON cdrs_verdict
    EXECUTE FUNCTION refuse('a verdict is never changed');
CREATE TRIGGER decision_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON cdrs_decision
    EXECUTE FUNCTION refuse('a decision is never changed');

-- a person's decision sets a finding aside when it clears it, not before and not after
CREATE TRIGGER finding_set_aside_once BEFORE UPDATE ON cdrs_finding
    FOR EACH ROW WHEN (NEW.decision_id IS DISTINCT FROM OLD.decision_id
        AND (OLD.cleared_at IS NOT NULL OR NEW.cleared_at IS NULL))
    EXECUTE FUNCTION refuse('a finding is set aside when it is cleared');

CREATE FUNCTION cdr_discard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM cdrs_decision WHERE cdr_id = NEW.id AND action = 'discard') THEN
        RAISE EXCEPTION 'nobody has decided to discard CDR %', NEW.id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER cdr_discard BEFORE UPDATE ON cdrs_cdr
    FOR EACH ROW WHEN (OLD.state <> 'discarded' AND NEW.state = 'discarded')
    EXECUTE FUNCTION cdr_discard();
"""

BACKWARD = """
DROP TRIGGER cdr_discard ON cdrs_cdr;
DROP FUNCTION cdr_discard();
DROP TRIGGER finding_set_aside_once ON cdrs_finding;
DROP TRIGGER decision_kept ON cdrs_decision;
DROP TRIGGER verdict_kept ON cdrs_verdict;
"""


class Migration(migrations.Migration):
    """Triggers on verdicts, decisions, findings and discarded CDRs."""

    dependencies = [("cdrs", "0006_judging")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
