from django.db import migrations

# Have the CDRs of one session, token, EVSE or id come one after the other, until the transaction
# ends, and return the CDR that an owner has under an id.
#
# It looks after it has locked: a function that is VOLATILE sees what is committed when each of its
# statements begins, and so what those wrote for whom it waited.
ALONE = """
CREATE FUNCTION cdr_alone(names text[], owner bigint, asked text)
RETURNS TABLE (uid text, body text, raw text) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(key) FROM (
        SELECT DISTINCT hashtextextended(name, 0) AS key FROM unnest(names) AS name ORDER BY key
    ) AS keys;
    RETURN QUERY SELECT held.uid::text, held.body::text, held.raw::text FROM cdrs_cdr AS held
        WHERE held.owner_id = owner AND upper(held.uid) = upper(asked);
END $$
"""


class Migration(migrations.Migration):

    dependencies = [
        ('cdrs', '0007_judging_guards'),
    ]

    operations = [
        migrations.RunSQL(ALONE, "DROP FUNCTION cdr_alone(text[], bigint, text)"),
    ]
