"""The database's own guards on agreements, on what can still be revised, and on each step of a close."""

from django.db import migrations

AGREEMENTS = """
-- other terms are another row: the version before ends where it begins
CREATE FUNCTION settlement_next_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE settlement_agreement SET valid_to = NEW.valid_from
        WHERE (party_id, kind, currency) = (NEW.party_id, NEW.kind, NEW.currency)
            AND valid_to IS NULL AND valid_from < NEW.valid_from;
    NEW.version := 1 + coalesce((
        SELECT max(version) FROM settlement_agreement
        WHERE (party_id, kind, currency) = (NEW.party_id, NEW.kind, NEW.currency)), 0);
    RETURN NEW;
END $$;
CREATE TRIGGER agreement_next_version BEFORE INSERT ON settlement_agreement
    FOR EACH ROW EXECUTE FUNCTION settlement_next_version();

CREATE FUNCTION settlement_agreement_ends() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before settlement_agreement := NEW;
BEGIN
    before.valid_to := OLD.valid_to;
    IF before IS DISTINCT FROM OLD THEN
        PERFORM settlement_refuse('an agreement only ends: other terms are another version');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER agreement_only_ends BEFORE UPDATE ON settlement_agreement
    FOR EACH ROW EXECUTE FUNCTION settlement_agreement_ends();
CREATE TRIGGER agreement_kept BEFORE DELETE OR TRUNCATE ON settlement_agreement
    EXECUTE FUNCTION refuse('an agreement only ends: it is never deleted');

-- behind the name that cdrs asks by
CREATE OR REPLACE FUNCTION cdr_terms(cpo bigint, emsp bigint, currency text, day date)
RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT seller.limits || buyer.limits
    FROM (
        SELECT a.limits FROM settlement_agreement a
        WHERE a.party_id = $1 AND a.kind = 'cpo' AND a.currency IN ('', $3)
            AND a.valid_from <= $4 AND (a.valid_to IS NULL OR a.valid_to > $4)
        ORDER BY a.currency DESC LIMIT 1) seller, (
        SELECT a.limits FROM settlement_agreement a
        WHERE a.party_id = $2 AND a.kind = 'emsp' AND a.currency IN ('', $3)
            AND a.valid_from <= $4 AND (a.valid_to IS NULL OR a.valid_to > $4)
        ORDER BY a.currency DESC LIMIT 1) buyer
$$;
"""

NO_AGREEMENTS = """
CREATE OR REPLACE FUNCTION cdr_terms(cpo bigint, emsp bigint, currency text, day date)
RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT '{}'::jsonb $$;
DROP TRIGGER agreement_kept ON settlement_agreement;
DROP TRIGGER agreement_only_ends ON settlement_agreement;
DROP FUNCTION settlement_agreement_ends();
DROP TRIGGER agreement_next_version ON settlement_agreement;
DROP FUNCTION settlement_next_version();
"""

# Cells and fees are made, and may be made again, until documents are issued; they are not edited.
REVISABLE = """
DROP TRIGGER cell_append_only ON settlement_cell;
DROP TRIGGER cell_guard ON settlement_cell;
CREATE OR REPLACE FUNCTION settlement_cell_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT state FROM cdrs_period
            WHERE id = CASE TG_OP WHEN 'DELETE' THEN OLD.period_id ELSE NEW.period_id END)
            NOT IN ('frozen', 'statement') THEN
        PERFORM settlement_refuse(
            TG_TABLE_NAME || ' is append-only: it is made of frozen CDRs, until documents are');
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER cell_guard BEFORE INSERT OR DELETE ON settlement_cell
    FOR EACH ROW EXECUTE FUNCTION settlement_cell_guard();
CREATE TRIGGER cell_append_only BEFORE UPDATE ON settlement_cell
    FOR EACH ROW EXECUTE FUNCTION settlement_append_only();
CREATE TRIGGER fee_guard BEFORE INSERT OR DELETE ON settlement_fee
    FOR EACH ROW EXECUTE FUNCTION settlement_cell_guard();
CREATE TRIGGER fee_append_only BEFORE UPDATE ON settlement_fee
    FOR EACH ROW EXECUTE FUNCTION settlement_append_only();
CREATE TRIGGER fee_never_truncated BEFORE TRUNCATE ON settlement_fee
    EXECUTE FUNCTION settlement_append_only();
"""

FINAL = """
DROP TRIGGER fee_never_truncated ON settlement_fee;
DROP TRIGGER fee_append_only ON settlement_fee;
DROP TRIGGER fee_guard ON settlement_fee;
DROP TRIGGER cell_append_only ON settlement_cell;
DROP TRIGGER cell_guard ON settlement_cell;
CREATE OR REPLACE FUNCTION settlement_cell_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT state FROM cdrs_period WHERE id = NEW.period_id) <> 'frozen' THEN
        PERFORM settlement_refuse('cells are made of frozen CDRs');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER cell_guard BEFORE INSERT ON settlement_cell
    FOR EACH ROW EXECUTE FUNCTION settlement_cell_guard();
CREATE TRIGGER cell_append_only BEFORE UPDATE OR DELETE ON settlement_cell
    FOR EACH ROW EXECUTE FUNCTION settlement_append_only();
"""

STATEMENTS = """
CREATE FUNCTION settlement_statement_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before settlement_statement := NEW;
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'published' OR (SELECT state FROM cdrs_period WHERE id = NEW.period_id)
                NOT IN ('frozen', 'statement') THEN
            PERFORM settlement_refuse('a statement is published before documents are issued');
        END IF;
        RETURN NEW;
    END IF;
    before.state := OLD.state;
    before.answered_at := OLD.answered_at;
    before.person_id := OLD.person_id;
    IF before IS DISTINCT FROM OLD OR (OLD.state, NEW.state) NOT IN (
            ('published', 'approved'), ('published', 'silent'), ('published', 'objected'),
            ('published', 'superseded'), ('approved', 'objected'), ('approved', 'superseded'),
            ('silent', 'superseded'))
            OR (SELECT state FROM cdrs_period WHERE id = NEW.period_id) <> 'statement' THEN
        PERFORM settlement_refuse('a statement is only answered, while its month waits for that');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER statement_guard BEFORE INSERT OR UPDATE ON settlement_statement
    FOR EACH ROW EXECUTE FUNCTION settlement_statement_guard();
CREATE TRIGGER statement_kept BEFORE DELETE OR TRUNCATE ON settlement_statement
    EXECUTE FUNCTION refuse('a statement is never deleted');
CREATE TRIGGER statement_line_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON settlement_statementline
    EXECUTE FUNCTION refuse('a line of a statement is never changed');
CREATE TRIGGER objection_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON settlement_objection
    EXECUTE FUNCTION refuse('an objection is never changed');

-- the lines of a statement add up to it when the transaction ends
CREATE FUNCTION settlement_statement_adds_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.net <> (SELECT coalesce(sum(net), 0) FROM settlement_statementline
            WHERE statement_id = NEW.id) THEN
        PERFORM settlement_refuse('statement ' || NEW.id || ' does not add up');
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER statement_lines_add_up AFTER INSERT ON settlement_statement
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION settlement_statement_adds_up();
"""

NO_STATEMENTS = """
DROP TRIGGER statement_lines_add_up ON settlement_statement;
DROP FUNCTION settlement_statement_adds_up();
DROP TRIGGER objection_kept ON settlement_objection;
DROP TRIGGER statement_line_kept ON settlement_statementline;
DROP TRIGGER statement_kept ON settlement_statement;
DROP TRIGGER statement_guard ON settlement_statement;
DROP FUNCTION settlement_statement_guard();
"""

MONTHS = """
-- no number is spent before the cells are the CDRs and every statement is answered, and nothing is
-- issued before every cell stands on both sides
CREATE FUNCTION settlement_month_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 'issuing' THEN
        IF EXISTS (SELECT FROM settlement_statement
                WHERE period_id = NEW.id AND state = 'published') THEN
            PERFORM settlement_refuse('a statement is not answered yet');
        END IF;
        IF EXISTS (
            WITH cdr AS (
                SELECT currency, count(*) AS cdrs, sum(total_excl_vat) AS total
                FROM cdrs_cdr WHERE period_id = NEW.id GROUP BY currency
            ), cell AS (
                SELECT currency, sum(cdr_count) AS cdrs, sum(total) AS total
                FROM settlement_cell WHERE period_id = NEW.id GROUP BY currency
            )
            SELECT FROM cdr FULL JOIN cell USING (currency)
            WHERE (cdr.cdrs, cdr.total) IS DISTINCT FROM (cell.cdrs, cell.total)
        ) THEN
            PERFORM settlement_refuse('the cells are not what the CDRs add up to');
        END IF;
    ELSIF EXISTS (
        SELECT FROM settlement_cell c WHERE c.period_id = NEW.id AND 2 <> (
            SELECT count(*) FROM settlement_documentline l WHERE l.cell_id = c.id)
    ) THEN
        PERFORM settlement_refuse('a cell is not billed on both sides yet');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER period_steps BEFORE UPDATE ON cdrs_period
    FOR EACH ROW WHEN (OLD.state <> NEW.state AND NEW.state IN ('issuing', 'issued'))
    EXECUTE FUNCTION settlement_month_guard();

CREATE TRIGGER close_goes_on BEFORE UPDATE ON settlement_closerun
    FOR EACH ROW WHEN (
        array_position(ARRAY['frozen', 'cells', 'statement', 'issuing', 'issued', 'done'],
            NEW.step::text)
        < array_position(ARRAY['frozen', 'cells', 'statement', 'issuing', 'issued', 'done'],
            OLD.step::text)
        OR OLD.step IN ('issuing', 'issued', 'done') AND NEW.issued_on <> OLD.issued_on
        OR (NEW.period_id, NEW.rolled, NEW.released, NEW.sums, NEW.started_at)
            IS DISTINCT FROM (OLD.period_id, OLD.rolled, OLD.released, OLD.sums, OLD.started_at))
    EXECUTE FUNCTION refuse('a close only goes on, and keeps its day');
"""

NO_MONTHS = """
DROP TRIGGER close_goes_on ON settlement_closerun;
DROP TRIGGER period_steps ON cdrs_period;
DROP FUNCTION settlement_month_guard();
"""


class Migration(migrations.Migration):
    """Triggers on agreements, cells, fees, statements, months and closes."""

    dependencies = [("settlement", "0030_agreements")]
    operations = [
        migrations.RunSQL(AGREEMENTS, NO_AGREEMENTS),
        migrations.RunSQL(REVISABLE, FINAL),
        migrations.RunSQL(STATEMENTS, NO_STATEMENTS),
        migrations.RunSQL(MONTHS, NO_MONTHS),
    ]
