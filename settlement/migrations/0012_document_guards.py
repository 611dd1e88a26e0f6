"""The database's guards on all kinds of documents: they add up, and they form one chain."""

from django.db import migrations, models

GUARDS = """
-- the chain: each document carries the hash of the one before, and its own
CREATE FUNCTION settlement_chain_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last settlement_document;
BEGIN
    SELECT * INTO last FROM settlement_document ORDER BY chain_no DESC LIMIT 1;
    IF NEW.chain_no <> coalesce(last.chain_no, 0) + 1
            OR NEW.prev_hash <> coalesce(last.hash, repeat('0', 64)) THEN
        PERFORM settlement_refuse('a document is chained to the last one');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER document_linked BEFORE INSERT ON settlement_document
    FOR EACH ROW EXECUTE FUNCTION settlement_chain_guard();
ALTER TABLE settlement_document ADD CONSTRAINT document_has_its_hash CHECK (hash = encode(sha256(
    (prev_hash || chr(10) || number || chr(10) || snapshot_sha256 || chr(10) || xml_sha256)::bytea
    ), 'hex'));

-- a document takes the number its series has just given; self-billing needs an agreement; a credit
-- note takes back from an earlier document of the same party and currency
CREATE OR REPLACE FUNCTION settlement_document_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    series settlement_series;
    before settlement_document;
BEGIN
    SELECT * INTO series FROM settlement_series WHERE id = NEW.series_id;
    IF (NEW.party_id, NEW.kind, NEW.seq, extract(year FROM NEW.issued_on))
            IS DISTINCT FROM (series.party_id, series.kind, series.last_no, series.year)
            OR NEW.number <> format('%s-%s-%s', series.prefix, series.year,
                lpad(NEW.seq::text, greatest(6, length(NEW.seq::text)), '0')) THEN
        PERFORM settlement_refuse('a document takes the next number of its own series');
    END IF;
    IF NEW.kind IN ('self_billing_invoice', 'self_billing_credit_note') AND NOT EXISTS (
            SELECT FROM settlement_selfbillingagreement
            WHERE supplier_id = NEW.supplier_id
                AND daterange(valid_from, valid_to) @> NEW.issued_on) THEN
        PERFORM settlement_refuse('no self-billing agreement is in force');
    END IF;
    IF NEW.corrected_id IS NOT NULL THEN
        SELECT * INTO before FROM settlement_document WHERE id = NEW.corrected_id;
        IF (before.party_id, before.currency) <> (NEW.party_id, NEW.currency)
                OR (before.kind, NEW.kind) NOT IN (
                    ('self_billing_invoice', 'self_billing_credit_note'),
                    ('emsp_invoice', 'emsp_credit_note')) THEN
            PERFORM settlement_refuse('a credit note takes back from a document like it');
        END IF;
    END IF;
    RETURN NEW;
END $$;

-- a line is a cell or a fee of the document's own party, month and currency; a credit note turns
-- the sign of the cells that correct what it takes back from
CREATE OR REPLACE FUNCTION settlement_line_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    fits boolean;
BEGIN
    SELECT NEW.no BETWEEN 1 AND jsonb_array_length(d.snapshot -> 'lines') AND (
            c.id IS NOT NULL
            AND (d.period_id, d.currency) = (c.period_id, c.currency)
            AND NEW.net = CASE WHEN d.corrected_id IS NULL THEN c.net ELSE -c.net END
            AND c.corrects_id IS NOT DISTINCT FROM o.period_id
            AND (d.kind, NEW.side, d.party_id) IN (
                ('self_billing_invoice', 'AP', c.cpo_id),
                ('self_billing_credit_note', 'AP', c.cpo_id),
                ('emsp_invoice', 'AR', c.emsp_id),
                ('emsp_credit_note', 'AR', c.emsp_id))
        OR f.id IS NOT NULL
            AND (d.kind, NEW.side) = ('fee_invoice', 'AR')
            AND (d.period_id, d.party_id, d.currency, NEW.net)
                = (f.period_id, f.party_id, f.currency, f.net))
        INTO fits
        FROM settlement_document d
        LEFT JOIN settlement_document o ON o.id = d.corrected_id
        LEFT JOIN settlement_cell c ON c.id = NEW.cell_id
        LEFT JOIN settlement_fee f ON f.id = NEW.fee_id
        WHERE d.id = NEW.document_id;
    IF fits IS NOT TRUE THEN
        PERFORM settlement_refuse('the line does not belong on this document');
    END IF;
    RETURN NEW;
END $$;

-- at the end of the transaction everything adds up: rows, what is printed, and the files named
CREATE OR REPLACE FUNCTION settlement_adds_up(bill bigint) RETURNS boolean LANGUAGE sql AS $$
    WITH line AS (
        SELECT vat_category, vat_rate, net FROM settlement_documentline WHERE document_id = bill
    ), owed AS (
        SELECT vat_category, vat_rate, sum(net) AS base,
            round(sum(net) * vat_rate / 100,
                (SELECT scale((snapshot ->> 'net')::numeric)
                    FROM settlement_document WHERE id = bill)) AS tax
        FROM line GROUP BY vat_category, vat_rate
    ), written AS (
        SELECT category, rate, base, tax FROM settlement_documenttax WHERE document_id = bill
    ), file AS (
        SELECT kind, sha256 FROM settlement_documentfile WHERE document_id = bill
    )
    SELECT d.net = (SELECT sum(net) FROM line)
        AND d.tax = (SELECT sum(tax) FROM owed)
        AND (d.number, d.currency, d.net, d.tax, d.gross) = (
            d.snapshot ->> 'number', d.snapshot ->> 'currency', (d.snapshot ->> 'net')::numeric,
            (d.snapshot ->> 'tax')::numeric, (d.snapshot ->> 'gross')::numeric)
        AND jsonb_array_length(d.snapshot -> 'lines') = (SELECT count(*) FROM line)
        AND NOT EXISTS (TABLE owed EXCEPT TABLE written)
        AND NOT EXISTS (TABLE written EXCEPT TABLE owed)
        AND d.xml_sha256 = coalesce((SELECT sha256 FROM file WHERE kind = 'xml'), '')
        AND d.snapshot -> 'annex' ->> 'sha256'
            IS NOT DISTINCT FROM (SELECT sha256 FROM file WHERE kind = 'csv')
    FROM settlement_document d WHERE d.id = bill
$$;
"""


class Migration(migrations.Migration):
    """What holds for every row from now on; the functions of 0002 are replaced for good."""

    dependencies = [("settlement", "0011_kinds_and_chain")]
    operations = [
        migrations.AlterField(
            model_name='document',
            name='chain_no',
            field=models.PositiveBigIntegerField(unique=True, verbose_name='place in the chain'),
        ),
        migrations.AddConstraint(
            model_name='document',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['self_billing_invoice', 'self_billing_credit_note', 'emsp_invoice', 'emsp_credit_note', 'fee_invoice'])), name='document_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='series',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['self_billing_invoice', 'self_billing_credit_note', 'emsp_invoice', 'emsp_credit_note', 'fee_invoice'])), name='series_kind_known'),
        ),
        migrations.RunSQL(
            GUARDS,
            """
            ALTER TABLE settlement_document DROP CONSTRAINT document_has_its_hash;
            DROP TRIGGER document_linked ON settlement_document;
            DROP FUNCTION settlement_chain_guard();
            """,
        ),
    ]
