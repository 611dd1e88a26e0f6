"""The database's own guards on disputes: their moves, what they hold, and what nobody rewrites."""

from django.db import migrations

DISPUTES = """
-- Dispute.TRANSITIONS; numbered without a gap, settled when every part of it is booked
CREATE FUNCTION settlement_dispute_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'open' THEN
            PERFORM settlement_refuse('a dispute begins open');
        END IF;
        IF NEW.no <> 1 + coalesce((
                SELECT max(no) FROM settlement_dispute WHERE year = NEW.year), 0)
                OR NEW.reference <> format('D-%s-%s', NEW.year,
                    lpad(NEW.no::text, greatest(6, length(NEW.no::text)), '0')) THEN
            PERFORM settlement_refuse('a dispute takes the next number of its year');
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
            ('open', 'accepted'), ('open', 'countered'), ('open', 'rejected'),
            ('open', 'withdrawn'),
            ('countered', 'accepted'), ('countered', 'escalated'), ('countered', 'lapsed'),
            ('countered', 'withdrawn'),
            ('rejected', 'accepted'), ('rejected', 'escalated'), ('rejected', 'lapsed'),
            ('rejected', 'withdrawn'),
            ('escalated', 'ruled'), ('escalated', 'withdrawn'),
            ('accepted', 'settled'), ('ruled', 'settled')) THEN
        PERFORM settlement_refuse(format('a dispute does not move from %s to %s',
            OLD.state, NEW.state));
    END IF;
    IF NEW.state = OLD.state AND (NEW.offered, NEW.ruled, NEW.granted, NEW.ended_at, NEW.due_at)
            IS DISTINCT FROM (OLD.offered, OLD.ruled, OLD.granted, OLD.ended_at, OLD.due_at) THEN
        PERFORM settlement_refuse('amounts and deadlines change when a dispute moves');
    END IF;
    IF OLD.granted IS NOT NULL AND NEW.granted IS DISTINCT FROM OLD.granted THEN
        PERFORM settlement_refuse('what is granted stays granted');
    END IF;
    IF NEW.state = 'ruled' AND NOT EXISTS (SELECT FROM settlement_ruling
            WHERE dispute_id = NEW.id AND state = 'effective'
                AND amount = NEW.ruled AND amount = NEW.granted) THEN
        PERFORM settlement_refuse('nobody has ruled like this');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER dispute_guard BEFORE INSERT OR UPDATE ON settlement_dispute
    FOR EACH ROW EXECUTE FUNCTION settlement_dispute_guard();
CREATE TRIGGER dispute_facts_stay BEFORE UPDATE OR DELETE ON settlement_dispute
    FOR EACH ROW EXECUTE FUNCTION settlement_facts_stay('state', 'due_at', 'reminded', 'offered',
        'ruled', 'granted', 'ended_at', 'assignee_id');
CREATE TRIGGER dispute_never_truncated BEFORE TRUNCATE ON settlement_dispute
    EXECUTE FUNCTION settlement_facts_stay();

-- when the transaction ends, a dispute is what its CDRs are, and holds none when it is over
CREATE FUNCTION settlement_dispute_adds_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of bigint;
    dispute settlement_dispute;
BEGIN
    of := CASE TG_TABLE_NAME WHEN 'settlement_dispute' THEN to_jsonb(NEW) -> 'id'
        ELSE to_jsonb(NEW) -> 'dispute_id' END;
    SELECT * INTO dispute FROM settlement_dispute WHERE id = of;
    IF dispute.total IS DISTINCT FROM (
            SELECT sum(total) FROM settlement_disputecdr WHERE dispute_id = of) THEN
        PERFORM settlement_refuse('dispute ' || dispute.reference || ' is not its CDRs');
    END IF;
    IF dispute.state IN ('lapsed', 'settled', 'withdrawn') AND EXISTS (
            SELECT FROM settlement_disputecdr i WHERE i.dispute_id = of AND i.open) THEN
        PERFORM settlement_refuse('dispute ' || dispute.reference || ' is over and holds CDRs');
    END IF;
    IF dispute.granted IS NOT NULL AND dispute.granted IS DISTINCT FROM (
            SELECT abs(sum(total - agreed)) FROM settlement_disputecdr WHERE dispute_id = of) THEN
        PERFORM settlement_refuse('dispute ' || dispute.reference || ' grants something else');
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER dispute_adds_up AFTER INSERT OR UPDATE ON settlement_dispute
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION settlement_dispute_adds_up();
CREATE CONSTRAINT TRIGGER disputed_cdrs_add_up AFTER INSERT OR UPDATE ON settlement_disputecdr
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION settlement_dispute_adds_up();
"""

NO_DISPUTES = """
DROP TRIGGER disputed_cdrs_add_up ON settlement_disputecdr;
DROP TRIGGER dispute_adds_up ON settlement_dispute;
DROP FUNCTION settlement_dispute_adds_up();
DROP TRIGGER dispute_never_truncated ON settlement_dispute;
DROP TRIGGER dispute_facts_stay ON settlement_dispute;
DROP TRIGGER dispute_guard ON settlement_dispute;
DROP FUNCTION settlement_dispute_guard();
"""

CDRS = """
-- only the two parties of a CDR dispute it; before the freeze it is held first, after it only
-- corrected
CREATE FUNCTION settlement_disputed_cdr_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    dispute settlement_dispute;
    cdr record;
BEGIN
    SELECT * INTO dispute FROM settlement_dispute WHERE id = NEW.dispute_id;
    IF TG_OP = 'UPDATE' THEN
        IF NEW.open AND NOT OLD.open THEN
            PERFORM settlement_refuse('what is settled is not opened again');
        END IF;
        IF OLD.open AND NOT NEW.open
                AND dispute.state IN ('open', 'countered', 'rejected', 'escalated') THEN
            PERFORM settlement_refuse('a CDR is disputed until the dispute is decided');
        END IF;
        IF dispute.by_cpo AND NEW.agreed < NEW.total
                OR NOT dispute.by_cpo AND NEW.agreed > NEW.total THEN
            PERFORM settlement_refuse('what is agreed is in favour of the claimant');
        END IF;
        IF OLD.agreed IS NOT NULL AND NEW.agreed IS DISTINCT FROM OLD.agreed THEN
            PERFORM settlement_refuse('what was agreed for a CDR stays');
        END IF;
        RETURN NEW;
    END IF;
    SELECT c.owner_id, c.emsp_id, c.credit_of_id, c.total_excl_vat, c.currency, c.state,
            p.state AS month, EXISTS (SELECT FROM cdrs_finding f WHERE f.cdr_id = c.id
                AND f.code = 'contested' AND f.cleared_at IS NULL) AS contested
        INTO cdr FROM cdrs_cdr c LEFT JOIN cdrs_period p ON p.id = c.period_id
        WHERE c.id = NEW.cdr_id;
    IF dispute.state <> 'open' OR NOT NEW.open THEN
        PERFORM settlement_refuse('a dispute is opened with its CDRs');
    END IF;
    IF (dispute.claimant_id, dispute.respondent_id) IS DISTINCT FROM
            (CASE WHEN dispute.by_cpo THEN cdr.owner_id ELSE cdr.emsp_id END,
            CASE WHEN dispute.by_cpo THEN cdr.emsp_id ELSE cdr.owner_id END)
            OR NEW.claimant_id <> dispute.claimant_id THEN
        PERFORM settlement_refuse('only the two parties of a CDR dispute it');
    END IF;
    IF cdr.credit_of_id IS NOT NULL OR (cdr.total_excl_vat, cdr.currency)
            IS DISTINCT FROM (NEW.total, dispute.currency) THEN
        PERFORM settlement_refuse('a dispute is about CDRs as they are billed, in one currency');
    END IF;
    PERFORM FROM cdrs_cdr WHERE id = NEW.cdr_id FOR UPDATE;
    IF dispute.effect <> 'none' AND EXISTS (
            SELECT FROM settlement_disputecdr i JOIN settlement_dispute d ON d.id = i.dispute_id
            WHERE i.cdr_id = NEW.cdr_id AND i.open AND d.effect <> 'none') THEN
        PERFORM settlement_refuse('the money of a CDR is in one dispute at a time');
    END IF;
    IF dispute.effect = 'hold' AND (cdr.state <> 'held' OR NOT cdr.contested) THEN
        PERFORM settlement_refuse('a disputed CDR is held first');
    END IF;
    IF dispute.effect = 'credit_note' AND coalesce(cdr.month, 'open') NOT IN (
            'frozen', 'issuing', 'issued', 'settling', 'closed') THEN
        PERFORM settlement_refuse('what is not frozen yet is held, not corrected');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER disputed_cdr_guard BEFORE INSERT OR UPDATE ON settlement_disputecdr
    FOR EACH ROW EXECUTE FUNCTION settlement_disputed_cdr_guard();
CREATE TRIGGER disputed_cdr_facts_stay BEFORE UPDATE OR DELETE ON settlement_disputecdr
    FOR EACH ROW EXECUTE FUNCTION settlement_facts_stay('agreed', 'open', 'credit_id',
        'replacement_id', 'by_hub');
CREATE TRIGGER disputed_cdr_never_truncated BEFORE TRUNCATE ON settlement_disputecdr
    EXECUTE FUNCTION settlement_facts_stay();

-- what a dispute holds, only the dispute lets go
CREATE FUNCTION settlement_dispute_holds() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    holder text;
BEGIN
    SELECT d.reference INTO holder
        FROM settlement_disputecdr i JOIN settlement_dispute d ON d.id = i.dispute_id
        WHERE i.cdr_id = NEW.cdr_id AND i.open AND d.effect = 'hold' LIMIT 1;
    IF holder IS NOT NULL THEN
        RAISE EXCEPTION 'CDR % is disputed in %: that decides about it', NEW.cdr_id, holder
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER finding_of_a_dispute BEFORE UPDATE ON cdrs_finding
    FOR EACH ROW WHEN (NEW.code = 'contested'
        AND OLD.cleared_at IS NULL AND NEW.cleared_at IS NOT NULL)
    EXECUTE FUNCTION settlement_dispute_holds();
CREATE TRIGGER decision_about_a_dispute BEFORE INSERT ON cdrs_decision
    FOR EACH ROW EXECUTE FUNCTION settlement_dispute_holds();
"""

NO_CDRS = """
DROP TRIGGER decision_about_a_dispute ON cdrs_decision;
DROP TRIGGER finding_of_a_dispute ON cdrs_finding;
DROP FUNCTION settlement_dispute_holds();
DROP TRIGGER disputed_cdr_never_truncated ON settlement_disputecdr;
DROP TRIGGER disputed_cdr_facts_stay ON settlement_disputecdr;
DROP TRIGGER disputed_cdr_guard ON settlement_disputecdr;
DROP FUNCTION settlement_disputed_cdr_guard();
"""

FILES = """
CREATE FUNCTION settlement_evidence_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    dispute settlement_dispute;
BEGIN
    SELECT * INTO dispute FROM settlement_dispute WHERE id = NEW.dispute_id;
    IF NEW.party_id IS NOT NULL
            AND NEW.party_id NOT IN (dispute.claimant_id, dispute.respondent_id) THEN
        PERFORM settlement_refuse('evidence is of a party of the dispute, or of the hub');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER evidence_guard BEFORE INSERT ON settlement_evidence
    FOR EACH ROW EXECUTE FUNCTION settlement_evidence_guard();
ALTER TABLE settlement_evidence ADD CONSTRAINT evidence_is_its_digest CHECK (
    sha256 = encode(sha256(content), 'hex') AND size = octet_length(content));
CREATE TRIGGER evidence_facts_stay BEFORE UPDATE OR DELETE ON settlement_evidence
    FOR EACH ROW EXECUTE FUNCTION settlement_facts_stay('state', 'problem');
CREATE TRIGGER evidence_moves BEFORE UPDATE ON settlement_evidence
    FOR EACH ROW WHEN (OLD.state <> 'quarantined')
    EXECUTE FUNCTION refuse('evidence is scanned once');
CREATE TRIGGER evidence_never_truncated BEFORE TRUNCATE ON settlement_evidence
    EXECUTE FUNCTION settlement_facts_stay();

-- a ruling is proposed about what is escalated, and decided once
CREATE FUNCTION settlement_ruling_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    dispute settlement_dispute;
BEGIN
    SELECT * INTO dispute FROM settlement_dispute WHERE id = NEW.dispute_id;
    IF dispute.state <> 'escalated' THEN
        PERFORM settlement_refuse('the hub rules about what is escalated');
    END IF;
    IF (NEW.outcome = 'full' AND NEW.amount <> dispute.asked)
            OR (NEW.outcome = 'partial' AND (NEW.amount <= 0 OR NEW.amount >= dispute.asked)) THEN
        PERFORM settlement_refuse('the amount is not that of the outcome');
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.state <> 'proposed' THEN
        PERFORM settlement_refuse('a ruling is decided once');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ruling_guard BEFORE INSERT OR UPDATE ON settlement_ruling
    FOR EACH ROW EXECUTE FUNCTION settlement_ruling_guard();
CREATE TRIGGER ruling_facts_stay BEFORE UPDATE OR DELETE ON settlement_ruling
    FOR EACH ROW EXECUTE FUNCTION settlement_facts_stay('state', 'second_id', 'second_at');
CREATE TRIGGER ruling_never_truncated BEFORE TRUNCATE ON settlement_ruling
    EXECUTE FUNCTION settlement_facts_stay();
"""

NO_FILES = """
DROP TRIGGER ruling_never_truncated ON settlement_ruling;
DROP TRIGGER ruling_facts_stay ON settlement_ruling;
DROP TRIGGER ruling_guard ON settlement_ruling;
DROP FUNCTION settlement_ruling_guard();
DROP TRIGGER evidence_never_truncated ON settlement_evidence;
DROP TRIGGER evidence_moves ON settlement_evidence;
DROP TRIGGER evidence_facts_stay ON settlement_evidence;
ALTER TABLE settlement_evidence DROP CONSTRAINT evidence_is_its_digest;
DROP TRIGGER evidence_guard ON settlement_evidence;
DROP FUNCTION settlement_evidence_guard();
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
    """Triggers on disputes, their CDRs, events, notes, evidence and rulings."""

    dependencies = [("settlement", "0050_disputes")]
    operations = [
        migrations.RunSQL(DISPUTES, NO_DISPUTES),
        migrations.RunSQL(CDRS, NO_CDRS),
        migrations.RunSQL(FILES, NO_FILES),
        *(
            migrations.RunSQL(SEAL.format(table=table), UNSEAL.format(table=table))
            for table in ("disputeevent", "internalnote")
        ),
    ]
