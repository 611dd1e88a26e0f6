from django.db import migrations

# Who an object of a module is broadcast to, by a party to those in some roles: the ids of the
# receiving roles, and of their platforms that can be sent to now.
#
# It first takes the lock that joining takes alone (delivery.JOINING), and then looks: a function
# that is VOLATILE sees what is committed when each of its statements begins, and not what was
# committed when the statement began that calls it. So who joins meanwhile is not overlooked.
NETWORK = """
CREATE FUNCTION parties_network(
    asked text, kinds text[], sender bigint, OUT receivers bigint[], OUT awake bigint[]
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(3230);
    SELECT coalesce(array_agg(role.id), '{}'),
        coalesce(array_agg(DISTINCT platform.id) FILTER (WHERE platform.state = 'connected'), '{}')
    INTO receivers, awake
    FROM parties_role AS role
    JOIN parties_platform AS platform ON platform.id = role.platform_id
    JOIN parties_endpoint AS endpoint ON endpoint.platform_id = platform.id
    WHERE role.role = ANY (kinds) AND role.party_id <> sender
        AND platform.state IN ('connected', 'offline')
        AND endpoint.module = asked AND endpoint.interface = 'RECEIVER';
END $$
"""


class Migration(migrations.Migration):

    dependencies = [
        ('parties', '0018_errand_search'),
    ]

    operations = [
        migrations.RunSQL(
            NETWORK, "DROP FUNCTION parties_network(text, text[], bigint)"
        ),
    ]
