"""The database's own guards on CDRs: immutable as sent, untouchable once their month is frozen."""

from django.db import migrations

CDRS = """
-- what was sent stays, to the last zero; a hold may find out the payer, or what is taken back
CREATE FUNCTION cdr_as_sent() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sent cdrs_cdr := NEW;
BEGIN
    IF NEW.state <> OLD.state THEN
        sent.state := OLD.state;
        sent.period_id := OLD.period_id;
    END IF;
    IF OLD.state = 'held' AND OLD.emsp_id IS NULL THEN
        sent.emsp_id := NULL;
    END IF;
    IF OLD.state = 'held' AND OLD.credit_of_id IS NULL THEN
        sent.credit_of_id := NULL;
    END IF;
    IF sent *<> OLD THEN
        RAISE EXCEPTION 'a CDR is immutable' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER cdr_as_sent BEFORE UPDATE ON cdrs_cdr
    FOR EACH ROW EXECUTE FUNCTION cdr_as_sent();

CREATE TRIGGER cdr_kept BEFORE DELETE OR TRUNCATE ON cdrs_cdr
    EXECUTE FUNCTION refuse('a CDR is never deleted');

-- Cdr.TRANSITIONS
CREATE TRIGGER cdr_moves BEFORE UPDATE ON cdrs_cdr
    FOR EACH ROW WHEN (NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('held', 'accepted'), ('held', 'discarded'), ('accepted', 'held')))
    EXECUTE FUNCTION refuse('a CDR is held or accepted until it is discarded');

CREATE FUNCTION cdr_release() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM cdrs_finding
            WHERE cdr_id = NEW.id AND severity = 'hold' AND cleared_at IS NULL) THEN
        RAISE EXCEPTION 'CDR % is held by an open finding', NEW.id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER cdr_release BEFORE UPDATE ON cdrs_cdr
    FOR EACH ROW WHEN (OLD.state <> 'accepted' AND NEW.state = 'accepted')
    EXECUTE FUNCTION cdr_release();

-- whoever writes into a month, or takes out of it, keeps it from being frozen meanwhile
CREATE FUNCTION cdr_thawed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    touched bigint;
    found text;
BEGIN
    FOR touched IN
        SELECT DISTINCT id FROM unnest(ARRAY[
            NEW.period_id, CASE WHEN TG_OP = 'UPDATE' THEN OLD.period_id END]) AS id
        WHERE id IS NOT NULL ORDER BY id
    LOOP
        SELECT state INTO found FROM cdrs_period WHERE id = touched FOR SHARE;
        IF found <> 'open' THEN
            RAISE EXCEPTION 'the CDRs of period % are frozen', touched
                USING ERRCODE = 'restrict_violation';
        END IF;
    END LOOP;
    RETURN NEW;
END $$;
CREATE TRIGGER cdr_thawed BEFORE INSERT OR UPDATE ON cdrs_cdr
    FOR EACH ROW EXECUTE FUNCTION cdr_thawed();
"""

UNGUARD_CDRS = """
DROP TRIGGER cdr_thawed ON cdrs_cdr;
DROP FUNCTION cdr_thawed();
DROP TRIGGER cdr_release ON cdrs_cdr;
DROP FUNCTION cdr_release();
DROP TRIGGER cdr_moves ON cdrs_cdr;
DROP TRIGGER cdr_kept ON cdrs_cdr;
DROP TRIGGER cdr_as_sent ON cdrs_cdr;
DROP FUNCTION cdr_as_sent();
"""

FINDINGS = """
CREATE TRIGGER finding_is_only_cleared BEFORE UPDATE ON cdrs_finding
    FOR EACH ROW WHEN (
        (NEW.id, NEW.cdr_id, NEW.code, NEW.severity, NEW.text, NEW.found_at)
            IS DISTINCT FROM (OLD.id, OLD.cdr_id, OLD.code, OLD.severity, OLD.text, OLD.found_at)
        OR OLD.cleared_at IS NOT NULL AND NEW.cleared_at IS DISTINCT FROM OLD.cleared_at)
    EXECUTE FUNCTION refuse('a finding is only cleared, once');
CREATE TRIGGER finding_kept BEFORE DELETE OR TRUNCATE ON cdrs_finding
    EXECUTE FUNCTION refuse('a finding is never deleted');
"""

UNGUARD_FINDINGS = """
DROP TRIGGER finding_kept ON cdrs_finding;
DROP TRIGGER finding_is_only_cleared ON cdrs_finding;
"""

PERIODS = """
CREATE TRIGGER period_begins_open BEFORE INSERT ON cdrs_period
    FOR EACH ROW WHEN (NEW.state <> 'open')
    EXECUTE FUNCTION refuse('a period begins open');
CREATE TRIGGER period_moves BEFORE UPDATE ON cdrs_period
    FOR EACH ROW WHEN ((NEW.id, NEW.month, NEW.opened_at)
            IS DISTINCT FROM (OLD.id, OLD.month, OLD.opened_at)
        OR (OLD.state, NEW.state) NOT IN (('open', 'frozen'), ('frozen', 'closed')))
    EXECUTE FUNCTION refuse('a period only moves from open to frozen to closed');
CREATE TRIGGER period_kept BEFORE DELETE OR TRUNCATE ON cdrs_period
    EXECUTE FUNCTION refuse('a period is never deleted');
"""

UNGUARD_PERIODS = """
DROP TRIGGER period_kept ON cdrs_period;
DROP TRIGGER period_moves ON cdrs_period;
DROP TRIGGER period_begins_open ON cdrs_period;
"""


class Migration(migrations.Migration):
    """Triggers on CDRs, findings and periods."""

    dependencies = [("cdrs", "0001_initial"), ("parties", "0002_guards")]
    operations = [
        migrations.RunSQL(CDRS, UNGUARD_CDRS),
        migrations.RunSQL(FINDINGS, UNGUARD_FINDINGS),
        migrations.RunSQL(PERIODS, UNGUARD_PERIODS),
    ]
