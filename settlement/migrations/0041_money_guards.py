"""The database's own guards on money: the ledger balances, nothing is paid twice or alone."""

from django.db import migrations

GUARDS = """
-- of a row only the columns named in the trigger ever change, and no row is deleted
CREATE FUNCTION settlement_facts_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE'
            OR (to_jsonb(NEW) - TG_ARGV) IS DISTINCT FROM (to_jsonb(OLD) - TG_ARGV) THEN
        PERFORM settlement_refuse(format('what %s says stays as it is', TG_TABLE_NAME));
    END IF;
    RETURN NEW;
END $$;

-- LEDGER: an entry belongs to the transaction that makes it (xmin would be that of a savepoint)
ALTER TABLE settlement_entry ADD COLUMN txid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE FUNCTION settlement_entry_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.txid := pg_current_xact_id();
    RETURN NEW;
END $$;
CREATE TRIGGER entry_guard BEFORE INSERT ON settlement_entry
    FOR EACH ROW EXECUTE FUNCTION settlement_entry_guard();

CREATE FUNCTION settlement_leg_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entry settlement_entry;
BEGIN
    SELECT * INTO entry FROM settlement_entry WHERE id = NEW.entry_id;
    IF entry.txid IS DISTINCT FROM pg_current_xact_id() THEN
        PERFORM settlement_refuse('legs are written with their entry and never later');
    END IF;
    IF entry.currency <> (SELECT currency FROM settlement_account WHERE id = NEW.account_id) THEN
        PERFORM settlement_refuse('an entry and its accounts have one currency');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER leg_guard BEFORE INSERT ON settlement_leg
    FOR EACH ROW EXECUTE FUNCTION settlement_leg_guard();

CREATE FUNCTION settlement_balance_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of bigint;
BEGIN
    of := CASE TG_TABLE_NAME WHEN 'settlement_entry' THEN to_jsonb(NEW) -> 'id'
        ELSE to_jsonb(NEW) -> 'entry_id' END;
    IF (SELECT count(*) >= 2 AND sum(amount) = 0 FROM settlement_leg WHERE entry_id = of)
            IS NOT TRUE THEN
        PERFORM settlement_refuse('ledger entry ' || of || ' does not balance');
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER entry_balances AFTER INSERT ON settlement_entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION settlement_balance_guard();
CREATE CONSTRAINT TRIGGER leg_balances AFTER INSERT ON settlement_leg
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION settlement_balance_guard();

CREATE FUNCTION settlement_balance(of_kind text, of_party bigint, of_currency text)
    RETURNS numeric LANGUAGE sql AS $$
    SELECT coalesce(sum(l.amount), 0)
    FROM settlement_leg l JOIN settlement_account a ON a.id = l.account_id
    WHERE a.kind = of_kind AND a.party_id = of_party AND a.currency = of_currency
$$;

-- RECEIVABLES: the view of what is open
CREATE VIEW settlement_openamount AS
    SELECT r.id AS receivable_id, coalesce(a.allocated, 0) AS allocated,
        coalesce(a.collected, 0) AS collected, r.amount - coalesce(a.allocated, 0) AS open
    FROM settlement_receivable r LEFT JOIN LATERAL (
        SELECT sum(x.amount) AS allocated,
            sum(x.amount) FILTER (WHERE c.cause <> 'write_off') AS collected
        FROM settlement_allocation x JOIN settlement_receipt c ON c.id = x.receipt_id
        WHERE x.receivable_id = r.id
    ) a ON true;

-- an allocation stays within both its ends, of one party and currency, whoever else allocates
CREATE FUNCTION settlement_allocation_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    receipt settlement_receipt;
    receivable settlement_receivable;
BEGIN
    SELECT * INTO receipt FROM settlement_receipt WHERE id = NEW.receipt_id FOR UPDATE;
    SELECT * INTO receivable FROM settlement_receivable WHERE id = NEW.receivable_id FOR UPDATE;
    IF (receipt.party_id, receipt.currency) <> (receivable.party_id, receivable.currency) THEN
        PERFORM settlement_refuse('a receipt settles debts of its own party and currency');
    END IF;
    IF (SELECT sum(amount) FROM settlement_allocation WHERE receipt_id = receipt.id)
            > receipt.amount THEN
        PERFORM settlement_refuse('more is allocated than was received');
    END IF;
    IF (SELECT sum(amount) FROM settlement_allocation WHERE receivable_id = receivable.id)
            > receivable.amount THEN
        PERFORM settlement_refuse('more is allocated than is owed');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER allocation_guard AFTER INSERT ON settlement_allocation
    FOR EACH ROW EXECUTE FUNCTION settlement_allocation_guard();

-- BANK ACCOUNTS: one at a time; verified, usable and ended each once
ALTER TABLE settlement_bankaccount ADD CONSTRAINT one_bank_account_at_a_time EXCLUDE USING gist (
    coalesce(party_id, 0) WITH =, currency WITH =, tstzrange(verified_at, ended_at) WITH &&
) WHERE (verified_at IS NOT NULL);
CREATE FUNCTION settlement_account_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.verified_at IS NOT NULL AND (OLD.verified_at, OLD.verified_by_id, OLD.usable_from)
            IS DISTINCT FROM (NEW.verified_at, NEW.verified_by_id, NEW.usable_from))
            OR (OLD.ended_at IS NOT NULL AND OLD.ended_at IS DISTINCT FROM NEW.ended_at) THEN
        PERFORM settlement_refuse('a bank account is verified and ended once');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER account_guard BEFORE UPDATE ON settlement_bankaccount
    FOR EACH ROW EXECUTE FUNCTION settlement_account_guard();

-- PAYOUTS: within what is owed to the party, to an account of its own that may be used
CREATE FUNCTION settlement_payout_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    account settlement_bankaccount;
    owed numeric;
    waiting numeric;
BEGIN
    IF TG_OP = 'INSERT' AND NEW.state <> 'planned' THEN
        PERFORM settlement_refuse('a payout begins as planned');
    END IF;
    IF TG_OP = 'UPDATE' AND (NEW.state = OLD.state
            OR NEW.state NOT IN ('approved', 'batched', 'submitted')) THEN
        RETURN NEW;
    END IF;
    PERFORM FROM settlement_account WHERE kind = 'cpo_payable'
        AND party_id = NEW.party_id AND currency = NEW.currency FOR UPDATE;
    owed := -settlement_balance('cpo_payable', NEW.party_id, NEW.currency);
    SELECT coalesce(sum(amount), 0) INTO waiting FROM settlement_payout
        WHERE party_id = NEW.party_id AND currency = NEW.currency AND id IS DISTINCT FROM NEW.id
            AND state IN ('planned', 'approved', 'batched');
    IF NEW.amount + waiting > owed THEN
        PERFORM settlement_refuse(format('payouts of %s exceed what is owed, %s %s',
            NEW.amount + waiting, owed, NEW.currency));
    END IF;
    SELECT * INTO account FROM settlement_bankaccount WHERE id = NEW.bank_account_id FOR SHARE;
    IF account.party_id IS DISTINCT FROM NEW.party_id OR account.currency <> NEW.currency THEN
        PERFORM settlement_refuse('a payout goes to an account of its party in its currency');
    END IF;
    IF account.verified_at IS NULL OR account.ended_at IS NOT NULL
            OR account.usable_from > now() THEN
        PERFORM settlement_refuse('the bank account is not verified, or may not be used yet');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER payout_guard BEFORE INSERT OR UPDATE ON settlement_payout
    FOR EACH ROW EXECUTE FUNCTION settlement_payout_guard();

-- what a payout says it pays is what it pays
CREATE FUNCTION settlement_payout_lines_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of bigint;
BEGIN
    of := CASE TG_TABLE_NAME WHEN 'settlement_payout' THEN to_jsonb(NEW) -> 'id'
        ELSE to_jsonb(NEW) -> 'payout_id' END;
    IF (SELECT sum(amount) FROM settlement_payoutline WHERE payout_id = of) IS DISTINCT FROM
            (SELECT amount FROM settlement_payout WHERE id = of) THEN
        PERFORM settlement_refuse('the lines of payout ' || of || ' do not add up to it');
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER payout_adds_up AFTER INSERT ON settlement_payout
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION settlement_payout_lines_guard();
CREATE CONSTRAINT TRIGGER payout_line_adds_up AFTER INSERT ON settlement_payoutline
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION settlement_payout_lines_guard();

-- BATCHES: what is approved is a digest of everything that the bank is told
CREATE FUNCTION settlement_batch_digest(batch bigint, currency text, account bigint, day date)
    RETURNS text LANGUAGE sql AS $$
    SELECT encode(sha256(convert_to(concat_ws(E'\\n', batch, currency, account, day, (
        SELECT string_agg(concat_ws('|', p.id, p.party_id, p.amount, a.id, a.holder, a.iban,
            a.routing_number, a.account_number, a.bic), E'\\n' ORDER BY p.id)
        FROM settlement_payout p JOIN settlement_bankaccount a ON a.id = p.bank_account_id
        WHERE p.batch_id = batch
    )), 'UTF8')), 'hex')
$$;
CREATE FUNCTION settlement_batch_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'draft' THEN
            PERFORM settlement_refuse('a batch begins as a draft');
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.currency, NEW.created_by_id, NEW.created_at)
            IS DISTINCT FROM (OLD.currency, OLD.created_by_id, OLD.created_at) THEN
        PERFORM settlement_refuse('a batch keeps its currency and who proposed it');
    END IF;
    IF (NEW.account_id, NEW.execute_on) IS DISTINCT FROM (OLD.account_id, OLD.execute_on) THEN
        IF OLD.state NOT IN ('draft', 'approved') THEN
            PERFORM settlement_refuse('a batch stays as its file says');
        END IF;
        NEW.state := 'draft';
    END IF;
    IF OLD.file IS NOT NULL AND (NEW.file, NEW.file_sha256)
            IS DISTINCT FROM (OLD.file, OLD.file_sha256) THEN
        PERFORM settlement_refuse('a payment file is made once');
    END IF;
    IF NEW.state = 'draft' THEN
        NEW.approved_by_id := NULL;
        NEW.approved_at := NULL;
        NEW.approved_sha256 := '';
    ELSIF NEW.state <> 'dropped' AND NEW.approved_sha256 IS DISTINCT FROM
            settlement_batch_digest(NEW.id, NEW.currency, NEW.account_id, NEW.execute_on) THEN
        PERFORM settlement_refuse('the batch is not what was approved');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER batch_guard BEFORE INSERT OR UPDATE ON settlement_payoutbatch
    FOR EACH ROW EXECUTE FUNCTION settlement_batch_guard();
CREATE FUNCTION settlement_batch_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM settlement_refuse('a batch is dropped, never deleted');
    RETURN NULL;
END $$;
CREATE TRIGGER batch_kept BEFORE DELETE ON settlement_payoutbatch
    FOR EACH ROW EXECUTE FUNCTION settlement_batch_kept();
CREATE TRIGGER batch_never_truncated BEFORE TRUNCATE ON settlement_payoutbatch
    EXECUTE FUNCTION settlement_batch_kept();

-- a payout that joins or leaves an approved batch takes the approval away
CREATE FUNCTION settlement_membership_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.batch_id IS DISTINCT FROM OLD.batch_id THEN
        IF EXISTS (SELECT FROM settlement_payoutbatch WHERE id IN (OLD.batch_id, NEW.batch_id)
                AND state IN ('filed', 'submitted', 'completed')) THEN
            PERFORM settlement_refuse('a batch stays as its file says');
        END IF;
        UPDATE settlement_payoutbatch SET state = 'draft'
            WHERE id IN (OLD.batch_id, NEW.batch_id) AND state = 'approved';
        UPDATE settlement_payout SET state = 'planned'
            WHERE batch_id IN (OLD.batch_id, NEW.batch_id) AND state = 'approved';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER membership_guard AFTER UPDATE ON settlement_payout
    FOR EACH ROW EXECUTE FUNCTION settlement_membership_guard();

-- WRITE-OFFS: what was decided is what was proposed
CREATE FUNCTION settlement_writeoff_digest(receivable bigint, line bigint, amount numeric,
    reason text) RETURNS text LANGUAGE sql AS $$
    SELECT encode(sha256(convert_to(
        concat_ws('|', coalesce(receivable, 0), coalesce(line, 0), amount, reason),
        'UTF8')), 'hex')
$$;
CREATE FUNCTION settlement_writeoff_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.state <> 'proposed' THEN
        PERFORM settlement_refuse('a write-off begins as a proposal');
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.state <> 'proposed' THEN
        PERFORM settlement_refuse('a write-off is decided once');
    END IF;
    IF NEW.state = 'approved' AND NEW.approved_sha256 IS DISTINCT FROM
            settlement_writeoff_digest(NEW.receivable_id, NEW.bank_line_id, NEW.amount, NEW.reason)
            THEN
        PERFORM settlement_refuse('the write-off is not what was approved');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER writeoff_guard BEFORE INSERT OR UPDATE ON settlement_writeoff
    FOR EACH ROW EXECUTE FUNCTION settlement_writeoff_guard();
"""

UNGUARD = """
DROP TRIGGER writeoff_guard ON settlement_writeoff;
DROP FUNCTION settlement_writeoff_guard();
DROP FUNCTION settlement_writeoff_digest(bigint, bigint, numeric, text);
DROP TRIGGER membership_guard ON settlement_payout;
DROP FUNCTION settlement_membership_guard();
DROP TRIGGER batch_never_truncated ON settlement_payoutbatch;
DROP TRIGGER batch_kept ON settlement_payoutbatch;
DROP FUNCTION settlement_batch_kept();
DROP TRIGGER batch_guard ON settlement_payoutbatch;
DROP FUNCTION settlement_batch_guard();
DROP FUNCTION settlement_batch_digest(bigint, text, bigint, date);
DROP TRIGGER payout_line_adds_up ON settlement_payoutline;
DROP TRIGGER payout_adds_up ON settlement_payout;
DROP FUNCTION settlement_payout_lines_guard();
DROP TRIGGER payout_guard ON settlement_payout;
DROP FUNCTION settlement_payout_guard();
DROP TRIGGER account_guard ON settlement_bankaccount;
DROP FUNCTION settlement_account_guard();
ALTER TABLE settlement_bankaccount DROP CONSTRAINT one_bank_account_at_a_time;
DROP TRIGGER allocation_guard ON settlement_allocation;
DROP FUNCTION settlement_allocation_guard();
DROP VIEW settlement_openamount;
DROP FUNCTION settlement_balance(text, bigint, text);
DROP TRIGGER leg_balances ON settlement_leg;
DROP TRIGGER entry_balances ON settlement_entry;
DROP FUNCTION settlement_balance_guard();
DROP TRIGGER leg_guard ON settlement_leg;
DROP FUNCTION settlement_leg_guard();
DROP TRIGGER entry_guard ON settlement_entry;
DROP FUNCTION settlement_entry_guard();
ALTER TABLE settlement_entry DROP COLUMN txid;
DROP FUNCTION settlement_facts_stay();
"""

APPEND_ONLY = ("account", "entry", "leg", "bankstatement", "setoff", "receipt", "allocation",
    "payoutline")
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

MUTABLE = {
    "bankaccount": "'verified_at', 'verified_by_id', 'usable_from', 'ended_at'",
    "bankline": "'state'",
    "receivable": "'state'",
    "reminder": "'sent_at', 'sent_to'",
    "writeoff": "'state', 'approved_by_id', 'approved_at', 'approved_sha256'",
    "payout": "'state', 'batch_id', 'failed_because', 'bank_line_id'",
}
KEEP = """
CREATE TRIGGER {table}_keeps_its_facts BEFORE UPDATE OR DELETE ON settlement_{table}
    FOR EACH ROW EXECUTE FUNCTION settlement_facts_stay({columns});
CREATE TRIGGER {table}_never_truncated BEFORE TRUNCATE ON settlement_{table}
    FOR EACH STATEMENT EXECUTE FUNCTION settlement_facts_stay();
"""
UNKEEP = """
DROP TRIGGER {table}_never_truncated ON settlement_{table};
DROP TRIGGER {table}_keeps_its_facts ON settlement_{table};
"""


class Migration(migrations.Migration):
    """Triggers on ledger, bank accounts and lines, receivables, payouts, batches and write-offs."""

    dependencies = [("settlement", "0040_money")]
    operations = [
        migrations.RunSQL(GUARDS, UNGUARD),
        *(
            migrations.RunSQL(SEAL.format(table=table), UNSEAL.format(table=table))
            for table in APPEND_ONLY
        ),
        *(
            migrations.RunSQL(
                KEEP.format(table=table, columns=columns), UNKEEP.format(table=table)
            )
            for table, columns in MUTABLE.items()
        ),
    ]
