"""The database's own guards on CDRs: immutable as sent, untouchable once their month is frozen."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION cdr_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    touched bigint;
    found text;
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'a CDR is never deleted' USING ERRCODE = 'restrict_violation';
    END IF;
    IF TG_OP = 'UPDATE' AND (NEW.owner_id, NEW.uid, NEW.body, NEW.digest, NEW.month, NEW.currency,
            NEW.energy_kwh, NEW.total_excl_vat)
            IS DISTINCT FROM (OLD.owner_id, OLD.uid, OLD.body, OLD.digest, OLD.month, OLD.currency,
            OLD.energy_kwh, OLD.total_excl_vat) THEN
        RAISE EXCEPTION 'a CDR is immutable' USING ERRCODE = 'restrict_violation';
    END IF;
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
CREATE TRIGGER cdr_guard BEFORE INSERT OR UPDATE OR DELETE ON cdrs_cdr
    FOR EACH ROW EXECUTE FUNCTION cdr_guard();

CREATE FUNCTION period_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR NEW.month <> OLD.month
            OR (OLD.state, NEW.state) NOT IN (('open', 'open'), ('open', 'frozen'),
                ('frozen', 'frozen'), ('frozen', 'closed'), ('closed', 'closed')) THEN
        RAISE EXCEPTION 'a period only moves from open to frozen to closed'
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER period_guard BEFORE UPDATE OR DELETE ON cdrs_period
    FOR EACH ROW EXECUTE FUNCTION period_guard();
"""

BACKWARD = """
DROP TRIGGER period_guard ON cdrs_period;
DROP FUNCTION period_guard();
DROP TRIGGER cdr_guard ON cdrs_cdr;
DROP FUNCTION cdr_guard();
"""


class Migration(migrations.Migration):
    """Triggers on CDRs and periods."""

    dependencies = [("cdrs", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
