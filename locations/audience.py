"""Who is shown a location that is not published: one rule, for rows and for readers.

Source: OCPI 2.2.1, mod_locations, `publish` and `publish_allowed_to`, PublishTokenType.
"""

from django.db.models import BooleanField, Func


class IsAllowed(Func):
    """Whether a party may know of a location, given the location's `publish_allowed_to`.

    So it is when that is empty, or when the party has a token that matches all of one item. Two
    expressions: the list as jsonb, the id of the party. The tokens are found by index.
    """

    output_field = BooleanField()
    arity = 2
    template = """(
        SELECT jsonb_array_length(given.list) = 0 OR EXISTS (
            SELECT FROM jsonb_to_recordset(given.list) AS item
                (uid text, type text, visual_number text, issuer text, group_id text)
            JOIN cdrs_token AS token ON token.owner_id = given.party AND (
                upper(token.uid) = upper(item.uid)
                OR upper(token.body ->> 'group_id') = upper(item.group_id)
                OR token.body ->> 'visual_number' = item.visual_number)
            WHERE (item.uid IS NULL
                    OR upper(token.uid) = upper(item.uid) AND token.type = item.type)
                AND (item.group_id IS NULL
                    OR upper(token.body ->> 'group_id') = upper(item.group_id))
                AND (item.visual_number IS NULL
                    OR token.body ->> 'visual_number' = item.visual_number)
                AND (item.issuer IS NULL OR token.body ->> 'issuer' = item.issuer))
        FROM (SELECT coalesce(nullif(list, 'null'), '[]') AS list, party
            FROM (SELECT %(expressions)s) AS raw (list, party)) AS given)"""
