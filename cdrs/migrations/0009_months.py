"""Months have more states, and agreements of another floor a say in who may trade."""

from django.db import migrations, models
from django.db.models import Q

UNBIND = """
DROP TRIGGER period_moves ON cdrs_period;
DROP TRIGGER period_begins_open ON cdrs_period;
"""

BEGINS_OPEN = """
CREATE TRIGGER period_begins_open BEFORE INSERT ON cdrs_period
    FOR EACH ROW WHEN (NEW.state <> 'open')
    EXECUTE FUNCTION refuse('a period begins open');
"""

BIND = (
    BEGINS_OPEN
    + """
-- Period.TRANSITIONS
CREATE TRIGGER period_moves BEFORE UPDATE ON cdrs_period
    FOR EACH ROW WHEN ((NEW.id, NEW.month, NEW.opened_at)
            IS DISTINCT FROM (OLD.id, OLD.month, OLD.opened_at)
        OR OLD.state <> 'open' AND NEW.grace_until IS DISTINCT FROM OLD.grace_until
        OR OLD.frozen_at IS NOT NULL AND NEW.frozen_at IS DISTINCT FROM OLD.frozen_at
        OR (OLD.state, NEW.state) NOT IN (
            ('open', 'grace'), ('open', 'frozen'), ('grace', 'frozen'), ('frozen', 'statement'),
            ('statement', 'issuing'), ('issuing', 'issued'), ('issued', 'settling'),
            ('settling', 'closed')))
    EXECUTE FUNCTION refuse('a period only moves on, from open to closed');

-- into a frozen month nothing comes any more; while its statements are out, CDRs may be held, and
-- so leave it
CREATE OR REPLACE FUNCTION cdr_thawed() RETURNS trigger LANGUAGE plpgsql AS $$
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
        IF found NOT IN ('open', 'grace')
                AND NOT (found = 'statement' AND NEW.period_id IS NULL) THEN
            RAISE EXCEPTION 'the CDRs of period % are frozen', touched
                USING ERRCODE = 'restrict_violation';
        END IF;
    END LOOP;
    RETURN NEW;
END $$;
"""
)

REBIND = (
    BEGINS_OPEN
    + """
CREATE TRIGGER period_moves BEFORE UPDATE ON cdrs_period
    FOR EACH ROW WHEN ((NEW.id, NEW.month, NEW.opened_at)
            IS DISTINCT FROM (OLD.id, OLD.month, OLD.opened_at)
        OR (OLD.state, NEW.state) NOT IN (('open', 'frozen'), ('frozen', 'closed')))
    EXECUTE FUNCTION refuse('a period only moves from open to frozen to closed');

CREATE OR REPLACE FUNCTION cdr_thawed() RETURNS trigger LANGUAGE plpgsql AS $$
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
"""
)

# what is frozen is not disputed any more: a finding does not hold it
HOLDS = """
CREATE FUNCTION finding_in_time() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM cdrs_cdr c JOIN cdrs_period p ON p.id = c.period_id
            WHERE c.id = NEW.cdr_id AND p.state NOT IN ('open', 'grace', 'statement')) THEN
        RAISE EXCEPTION 'CDR % is frozen: it can only be credited', NEW.cdr_id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER finding_in_time BEFORE INSERT ON cdrs_finding
    FOR EACH ROW WHEN (NEW.severity = 'hold') EXECUTE FUNCTION finding_in_time();
"""
UNHOLD = """
DROP TRIGGER finding_in_time ON cdrs_finding;
DROP FUNCTION finding_in_time();
"""

# What agreements set of the parameters for a session of that day; NULL where two parties have no
# agreement. The floor above puts its agreements behind this name.
TERMS = """
CREATE FUNCTION cdr_terms(cpo bigint, emsp bigint, currency text, day date) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT '{}'::jsonb $$;
"""

STATES = (
    *("open", "grace", "frozen", "statement"),
    *("issuing", "issued", "settling", "closed"),
)
NAMES = (
    *("open", "over, late CDRs still come", "frozen", "statements out for approval"),
    *("documents being issued", "documents issued", "being paid", "closed"),
)


class Migration(migrations.Migration):
    """States of months, the guards on them, and the terms of agreements."""

    dependencies = [("cdrs", "0008_arriving")]
    operations = [
        migrations.RunSQL(UNBIND, REBIND),
        migrations.RemoveConstraint("period", "period_state_known"),
        migrations.AlterField(
            "period",
            "state",
            models.CharField(
                "state", max_length=9, choices=list(zip(STATES, NAMES, strict=True)), default="open"
            ),
        ),
        migrations.AddField(
            "period",
            "grace_until",
            models.DateTimeField(
                "late CDRs until", null=True, help_text="what comes later is settled a month later"
            ),
        ),
        migrations.AddConstraint(
            "period",
            models.CheckConstraint(
                condition=Q(state__in=list(STATES)), name="period_state_known"
            ),
        ),
        migrations.AddConstraint(
            "period",
            models.CheckConstraint(
                condition=~Q(state="grace", grace_until__isnull=True), name="period_grace_ends"
            ),
        ),
        migrations.RunSQL(BIND, UNBIND),
        migrations.RunSQL(HOLDS, UNHOLD),
        migrations.RemoveIndex("cdr", "cdr_settled"),
        migrations.AddIndex(
            "cdr",
            models.Index(
                fields=["period", "owner", "currency", "emsp"],
                include=["total_excl_vat", "energy_kwh"],
                name="cdr_settled",
            ),
        ),
        migrations.RunSQL(TERMS, "DROP FUNCTION cdr_terms(bigint, bigint, text, date)"),
    ]
