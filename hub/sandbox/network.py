"""The four partners of the demo network, and what they do together."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from threading import Event, Lock
from typing import Any

from hub.ocpi import times
from hub.sandbox import history
from hub.sandbox.catalogue import CPOS, EMSPS, Company
from hub.sandbox.live import Live
from hub.sandbox.notes import Notes
from hub.sandbox.partner import Partner
from hub.sandbox.traffic import World

KEPT = ("token", "former", "hub_token", "hub_endpoints")


class NotReadyError(Exception):
    """Something has to be done before this; the message says what."""


class Network:
    """The partners of the demo network; what they must not forget is in `notes`."""

    def __init__(self, url: str, notes: Notes) -> None:
        self.notes, self.stop = notes, Event()
        self.partners = {company: self._partner(company, url) for company in CPOS + EMSPS}
        self._one_at_a_time, self._is_live = Lock(), False

    def describe(self) -> list[dict[str, Any]]:
        """Return who the partners are, and whether each is registered."""
        return [
            {
                "name": partner.prefix,
                "country_code": company.address.country_code,
                "party_id": company.address.party_id,
                "role": company.role,
                "company": company.name,
                "registered": partner.registered,
                "hub_token": partner.hub_token,
            }
            for company, partner in self.partners.items()
        ]

    def register(self, partner: Partner, versions_url: str, registration_token: str) -> None:
        """Let a partner do the handshake; raises HandshakeError."""
        partner.register(versions_url, registration_token)

    def publish(self, stamp: datetime) -> int:
        """Publish everything that is on offer, as it is since an instant; return how much."""
        self._require_registration()
        self.notes.write(stamp=self.notes.read("stamp") or times.render(stamp))
        return history.publish(self.partners, self._world())

    def replay(self, span: history.Span, *, late: bool) -> int:
        """Send the past of a month, once; return how many CDRs.

        What was interrupted is sent again up to the same instant, so the hub knows it already.
        """
        self._require_registration()
        with self._one_at_a_time:
            noted = self.notes.read(span.name) or {"until": times.render(span.ends), "sent": False}
            if noted["sent"]:
                return 0
            self.notes.write(**{span.name: noted})
            span = history.Span(span.name, span.begins, times.parse(noted["until"]))
            count = history.replay(self.partners, self._world(), span, late=late)
            self.notes.write(**{span.name: noted | {"sent": True}})
        return count

    def go_live(self) -> None:
        """Start this month's traffic, now and after every restart."""
        self._require_registration()
        self.notes.write(live=True)
        self.resume()

    def resume(self) -> None:
        """Go on as before a restart: with what is on offer, and with live traffic."""
        if self.notes.read("stamp"):
            history.recall(self.partners, self._world())
        with self._one_at_a_time:
            if self.notes.read("live") and not self._is_live:
                self._is_live = True
                Live(self.partners, self._world(), self.notes, self.stop).start()

    def _world(self) -> World:
        stamp = self.notes.read("stamp")
        if stamp is None:
            raise NotReadyError("nothing has been published yet")
        return World(stamp)

    def _require_registration(self) -> None:
        missing = [partner.prefix for partner in self.partners.values() if not partner.registered]
        if missing:
            raise NotReadyError(f"not registered with the hub yet: {', '.join(missing)}")

    def _partner(self, company: Company, url: str) -> Partner:
        partner = Partner(company.address, [company.role], company.name)
        partner.url = f"{url}/{partner.prefix}"
        kept: Mapping[str, Any] = self.notes.read(partner.prefix) or {}
        for name, value in kept.items():
            setattr(partner, name, value)
        partner.changed = partial(self._note, partner)
        return partner

    def _note(self, partner: Partner) -> None:
        """Write down what a partner must not forget: its tokens, and where the hub is."""
        kept = {name: getattr(partner, name) for name in KEPT}
        self.notes.write(**{partner.prefix: kept})
