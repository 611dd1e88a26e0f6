"""What a partner pushes of one module, and reads back: calls of the hub's Receiver interface."""

from dataclasses import dataclass

from hub.ocpi.versions import RECEIVER, SENDER
from hub.sandbox.partner import Partner


@dataclass
class Pushing:
    """A partner with the objects of one module that it owns; `path` is below the owner."""

    partner: Partner
    module: str

    def call(self, method, *path, body=None, query=""):
        owner = (self.partner.address.country_code, self.partner.address.party_id)
        return self.partner.call(
            method, self.module, RECEIVER, *owner, *path, query=query, body=body
        )

    def put(self, *path, body, query=""):
        return self.call("PUT", *path, body=body, query=query)

    def patch(self, *path, body, query=""):
        return self.call("PATCH", *path, body=body, query=query)

    def get(self, *path, query=""):
        return self.call("GET", *path, query=query)

    def delete(self, *path, body=None):
        return self.call("DELETE", *path, body=body)


def shown(partner, module, *path, query=""):
    """Return what the hub's Sender interface answers a partner."""
    return partner.call("GET", module, SENDER, *path, query=query)


def told(partner, module):
    """Return method, path below the endpoint, and body of what the hub has told a partner."""
    return [
        (item.method, "/".join(item.path[3:]), item.body if item.content else None)
        for item in partner.received
        if item.module == module
    ]
