"""The database's own guards on paper: only what adds up is written, and nothing is rewritten."""

from django.db import migrations

APPEND_ONLY = ("cell", "document", "documentline", "documenttax", "documentfile")

GUARDS = """
CREATE FUNCTION settlement_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION settlement_refuse(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', what USING ERRCODE = 'check_violation';
END $$;

-- a cell is made while its month is frozen
CREATE FUNCTION settlement_cell_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT state FROM cdrs_period WHERE id = NEW.period_id) <> 'frozen' THEN
        PERFORM settlement_refuse('cells are made of frozen CDRs');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER cell_guard BEFORE INSERT ON settlement_cell
    FOR EACH ROW EXECUTE FUNCTION settlement_cell_guard();

-- a series counts 1, 2, 3, and is never taken back
CREATE FUNCTION settlement_series_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.last_no <> 0 THEN
            PERFORM settlement_refuse('a series begins at 1');
        END IF;
    ELSIF TG_OP = 'DELETE' OR NEW.last_no <> OLD.last_no + 1
            OR (NEW.id, NEW.party_id, NEW.kind, NEW.year, NEW.prefix)
            IS DISTINCT FROM (OLD.id, OLD.party_id, OLD.kind, OLD.year, OLD.prefix) THEN
        PERFORM settlement_refuse('a series only takes its next number');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER series_guard BEFORE INSERT OR UPDATE OR DELETE ON settlement_series
    FOR EACH ROW EXECUTE FUNCTION settlement_series_guard();
CREATE TRIGGER series_never_truncated BEFORE TRUNCATE ON settlement_series
    EXECUTE FUNCTION refuse('a series only takes its next number');

CREATE TRIGGER close_kept BEFORE DELETE OR TRUNCATE ON settlement_closerun
    EXECUTE FUNCTION refuse('a close is never undone');

-- a document takes the number its series has just given; self-billing needs an agreement
CREATE FUNCTION settlement_document_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    series settlement_series;
BEGIN
    SELECT * INTO series FROM settlement_series WHERE id = NEW.series_id;
    IF (NEW.party_id, NEW.kind, NEW.seq, extract(year FROM NEW.issued_on))
            IS DISTINCT FROM (series.party_id, series.kind, series.last_no, series.year)
            OR NEW.number <> format('%s-%s-%s', series.prefix, series.year,
                lpad(NEW.seq::text, greatest(6, length(NEW.seq::text)), '0')) THEN
        PERFORM settlement_refuse('a document takes the next number of its own series');
    END IF;
    IF NEW.kind = 'self_billing_invoice' AND NOT EXISTS (
            SELECT FROM settlement_selfbillingagreement
            WHERE supplier_id = NEW.supplier_id
                AND daterange(valid_from, valid_to) @> NEW.issued_on) THEN
        PERFORM settlement_refuse('no self-billing agreement is in force');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER document_guard BEFORE INSERT ON settlement_document
    FOR EACH ROW EXECUTE FUNCTION settlement_document_guard();

-- a line is a cell of the document's own party, month and currency; the snapshot counts the lines
CREATE FUNCTION settlement_line_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    fits boolean;
BEGIN
    SELECT NEW.no BETWEEN 1 AND jsonb_array_length(d.snapshot -> 'lines')
        AND (NEW.net, d.period_id, d.currency) = (c.net, c.period_id, c.currency)
        AND (d.kind, NEW.side, d.party_id) IN (
            ('self_billing_invoice', 'AP', c.cpo_id), ('emsp_statement', 'AR', c.emsp_id))
        INTO fits
        FROM settlement_document d, settlement_cell c
        WHERE d.id = NEW.document_id AND c.id = NEW.cell_id;
    IF fits IS NOT TRUE THEN
        PERFORM settlement_refuse('the line does not belong on this document');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER line_guard BEFORE INSERT ON settlement_documentline
    FOR EACH ROW EXECUTE FUNCTION settlement_line_guard();

-- at the end of the transaction everything adds up
CREATE FUNCTION settlement_adds_up(bill bigint) RETURNS boolean LANGUAGE sql AS $$
    WITH line AS (
        SELECT l.vat_category, l.vat_rate, l.net, c.decimals
        FROM settlement_documentline l JOIN settlement_cell c ON c.id = l.cell_id
        WHERE l.document_id = bill
    ), owed AS (
        SELECT vat_category, vat_rate, sum(net) AS base,
            round(sum(net) * vat_rate / 100, max(decimals)) AS tax
        FROM line GROUP BY vat_category, vat_rate
    ), written AS (
        SELECT category, rate, base, tax FROM settlement_documenttax WHERE document_id = bill
    )
    SELECT d.net = (SELECT sum(net) FROM line)
        AND d.tax = (SELECT sum(tax) FROM owed)
        AND jsonb_array_length(d.snapshot -> 'lines') = (SELECT count(*) FROM line)
        AND NOT EXISTS (TABLE owed EXCEPT TABLE written)
        AND NOT EXISTS (TABLE written EXCEPT TABLE owed)
    FROM settlement_document d WHERE d.id = bill
$$;
CREATE FUNCTION settlement_sum_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    bill bigint;
BEGIN
    bill := CASE TG_TABLE_NAME WHEN 'settlement_document' THEN to_jsonb(NEW) -> 'id'
        ELSE to_jsonb(NEW) -> 'document_id' END;
    IF settlement_adds_up(bill) IS NOT TRUE THEN
        PERFORM settlement_refuse('document ' || bill || ' does not add up');
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER document_adds_up AFTER INSERT ON settlement_document
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION settlement_sum_guard();
CREATE CONSTRAINT TRIGGER tax_adds_up AFTER INSERT ON settlement_documenttax
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION settlement_sum_guard();

ALTER TABLE settlement_documentfile ADD CONSTRAINT file_has_its_digest
    CHECK (sha256 = encode(sha256(content), 'hex'));
"""

UNGUARD = """
ALTER TABLE settlement_documentfile DROP CONSTRAINT file_has_its_digest;
DROP TRIGGER tax_adds_up ON settlement_documenttax;
DROP TRIGGER document_adds_up ON settlement_document;
DROP FUNCTION settlement_sum_guard();
DROP FUNCTION settlement_adds_up(bigint);
DROP TRIGGER line_guard ON settlement_documentline;
DROP FUNCTION settlement_line_guard();
DROP TRIGGER document_guard ON settlement_document;
DROP FUNCTION settlement_document_guard();
DROP TRIGGER close_kept ON settlement_closerun;
DROP TRIGGER series_never_truncated ON settlement_series;
DROP TRIGGER series_guard ON settlement_series;
DROP FUNCTION settlement_series_guard();
DROP TRIGGER cell_guard ON settlement_cell;
DROP FUNCTION settlement_cell_guard();
DROP FUNCTION settlement_refuse(text);
DROP FUNCTION settlement_append_only();
"""

SEAL = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON settlement_{table}
    FOR EACH ROW EXECUTE FUNCTION settlement_append_only();
CREATE TRIGGER {table}_never_truncated BEFORE TRUNCATE ON settlement_{table}
    FOR EACH STATEMENT EXECUTE FUNCTION settlement_append_only();
"""
UNSEAL = """
DROP TRIGGER {table}_never_truncated ON settlement_{table};
DROP TRIGGER {table}_append_only ON settlement_{table};
"""


class Migration(migrations.Migration):
    """Triggers on cells, series, documents and closes."""

    dependencies = [("settlement", "0001_initial")]
    operations = [
        migrations.RunSQL(GUARDS, UNGUARD),
        *(
            migrations.RunSQL(SEAL.format(table=table), UNSEAL.format(table=table))
            for table in APPEND_ONLY
        ),
    ]
