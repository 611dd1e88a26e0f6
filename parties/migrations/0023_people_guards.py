"""The database's own guards: a party's audit trail is chained and never changed."""

from django.db import migrations

FORWARD = """
-- what an entry's digest is over: each part with its length before it, so that none can flow over
CREATE FUNCTION trail_part(part text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT length(part) || ':' || part || ','
$$;
CREATE FUNCTION trail_digest(entry parties_trailentry) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT encode(sha256(convert_to(
        trail_part(entry.seq::text) || trail_part(entry.party_id::text)
        || trail_part(to_char(entry.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
        || trail_part(entry.who) || trail_part(entry.area) || trail_part(entry.deed)
        || trail_part(entry.subject) || trail_part(entry.details) || trail_part(entry.address)
        || trail_part(entry.previous), 'UTF8')), 'hex')
$$;

-- the row of the end is the lock: entries of one party come one after the other
CREATE FUNCTION trail_chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO parties_trailhead AS head (party_id, seq, digest)
        VALUES (NEW.party_id, 1, repeat('0', 64))
        ON CONFLICT (party_id) DO UPDATE SET seq = head.seq + 1
        RETURNING head.seq, head.digest INTO NEW.seq, NEW.previous;
    NEW.digest := trail_digest(NEW);
    UPDATE parties_trailhead SET digest = NEW.digest WHERE party_id = NEW.party_id;
    RETURN NEW;
END $$;
CREATE TRIGGER trail_chained BEFORE INSERT ON parties_trailentry
    FOR EACH ROW EXECUTE FUNCTION trail_chain();

CREATE TRIGGER trail_kept BEFORE UPDATE OR DELETE ON parties_trailentry
    FOR EACH ROW EXECUTE FUNCTION refuse('an entry of an audit trail is never changed or deleted');
CREATE TRIGGER trail_never_truncated BEFORE TRUNCATE ON parties_trailentry
    EXECUTE FUNCTION refuse('an entry of an audit trail is never changed or deleted');
CREATE TRIGGER trail_goes_on BEFORE UPDATE ON parties_trailhead
    FOR EACH ROW WHEN (NEW.party_id <> OLD.party_id OR NEW.seq NOT IN (OLD.seq, OLD.seq + 1))
    EXECUTE FUNCTION refuse('an audit trail only goes on');
CREATE TRIGGER trail_end_kept BEFORE DELETE ON parties_trailhead
    FOR EACH ROW EXECUTE FUNCTION refuse('an audit trail only goes on');
CREATE TRIGGER trail_end_never_truncated BEFORE TRUNCATE ON parties_trailhead
    EXECUTE FUNCTION refuse('an audit trail only goes on');
"""

BACKWARD = """
DROP TRIGGER trail_end_never_truncated ON parties_trailhead;
DROP TRIGGER trail_end_kept ON parties_trailhead;
DROP TRIGGER trail_goes_on ON parties_trailhead;
DROP TRIGGER trail_never_truncated ON parties_trailentry;
DROP TRIGGER trail_kept ON parties_trailentry;
DROP TRIGGER trail_chained ON parties_trailentry;
DROP FUNCTION trail_chain();
DROP FUNCTION trail_digest(parties_trailentry);
DROP FUNCTION trail_part(text);
"""

# Django's cache in a table (createcachetable would make it), which is not to survive a crash
TRIES = """
CREATE UNLOGGED TABLE parties_tries (
    cache_key varchar(255) PRIMARY KEY, value text NOT NULL, expires timestamptz NOT NULL
);
CREATE INDEX parties_tries_expires ON parties_tries (expires);
"""


class Migration(migrations.Migration):
    """Triggers on the audit trail; the table in which logins are counted."""

    dependencies = [("parties", "0022_people")]
    operations = [
        migrations.RunSQL(FORWARD, BACKWARD),
        migrations.RunSQL(TRIES, "DROP TABLE parties_tries"),
    ]
