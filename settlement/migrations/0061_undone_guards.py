"""The database's own guards on what is taken back: all of it, once, and exactly."""

from django.db import migrations

ALLOCATIONS = """
CREATE OR REPLACE FUNCTION settlement_allocation_guard() RETURNS trigger LANGUAGE plpgsql AS $$
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
{reversed}    RETURN NULL;
END $$;
"""
REVERSED = """\
    IF (NEW.reverses_id IS NOT NULL)
            <> EXISTS (SELECT FROM settlement_receipt WHERE reverses_id = receipt.id) THEN
        PERFORM settlement_refuse('a receipt that is taken back settles nothing any more');
    END IF;
    IF NEW.reverses_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM settlement_allocation a WHERE a.id = NEW.reverses_id
                AND a.reverses_id IS NULL
                AND (a.receipt_id, a.receivable_id, -a.amount)
                    = (NEW.receipt_id, NEW.receivable_id, NEW.amount)) THEN
        PERFORM settlement_refuse('an allocation is taken back as it is');
    END IF;
"""

RECEIPTS = """
CREATE FUNCTION settlement_receipt_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM settlement_bankline WHERE id = NEW.bank_line_id FOR UPDATE;
    IF NEW.reverses_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM settlement_receipt r WHERE r.id = NEW.reverses_id
                AND r.reverses_id IS NULL
                AND (r.cause, r.party_id, r.currency, r.bank_line_id, -r.amount)
                    = (NEW.cause, NEW.party_id, NEW.currency, NEW.bank_line_id, NEW.amount)) THEN
        PERFORM settlement_refuse('a receipt is taken back as it is');
    END IF;
    IF NEW.amount + (SELECT coalesce(sum(amount), 0) FROM settlement_receipt
            WHERE bank_line_id = NEW.bank_line_id)
            > (SELECT amount FROM settlement_bankline WHERE id = NEW.bank_line_id) THEN
        PERFORM settlement_refuse('a bank line pays once');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER receipt_guard BEFORE INSERT ON settlement_receipt
    FOR EACH ROW WHEN (NEW.bank_line_id IS NOT NULL) EXECUTE FUNCTION settlement_receipt_guard();

-- at the end of the transaction nothing is settled by what was taken back
CREATE FUNCTION settlement_undone_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT sum(amount) FROM settlement_allocation WHERE receipt_id = NEW.reverses_id) <> 0 THEN
        PERFORM settlement_refuse('a receipt is taken back with all that it settles');
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER undone_entirely AFTER INSERT ON settlement_receipt
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.reverses_id IS NOT NULL)
    EXECUTE FUNCTION settlement_undone_guard();
"""
NO_RECEIPTS = """
DROP TRIGGER undone_entirely ON settlement_receipt;
DROP FUNCTION settlement_undone_guard();
DROP TRIGGER receipt_guard ON settlement_receipt;
DROP FUNCTION settlement_receipt_guard();
"""


class Migration(migrations.Migration):
    """Triggers on receipts and allocations."""

    dependencies = [("settlement", "0060_undone_matches")]
    operations = [
        migrations.RunSQL(
            ALLOCATIONS.replace("{reversed}", REVERSED), ALLOCATIONS.replace("{reversed}", "")
        ),
        migrations.RunSQL(RECEIPTS, NO_RECEIPTS),
    ]
