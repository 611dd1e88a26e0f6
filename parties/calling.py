"""Calling a partner: the one way in which the hub sends a platform a request.

What is said and heard is a talk, which does no input or output of its own: `Line.make` carries it
through the door that blocks, `Line.make_async` through that of an event loop. Everything that
leaves goes through here, so that it is journalled with its correlation id and so that what is known
of how the platform speaks is used. A call that meets a common departure from the letter (the other
form of the token, a missing slash, a redirect on the same host) is made once more; in all of these
cases the partner has refused it unread.
"""

import time
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

from hub import egress, statements
from hub.egress_loop import Door
from hub.ocpi import client, json
from hub.ocpi.errors import HubError, NotConnected, TimedOut
from hub.ocpi.messages import Ids, Route
from parties import journal, keys, quirks
from parties.models import Exchange, Platform
from parties.quirks import Habit

FAULTS = (egress.EgressDeniedError, egress.EgressFailedError)
Talk = Generator[egress.Request, egress.Reply, client.Answer]
NO_SUCH_URL = frozenset({301, 307, 308, 404, 405})


@dataclass(frozen=True)
class Call:
    """A request to a partner: `seconds` bounds the whole exchange.

    `secret` tells that the URL is a capability (a response_url), which nobody may see.
    """

    method: str
    url: str
    module: str = ""
    interface: str = ""
    body: Any = None
    route: Route = field(default_factory=Route)
    ids: Ids = field(default_factory=Ids)
    seconds: float = 10.0
    secret: bool = False
    largest: int = egress.BODY_LIMIT  # bytes of the answer


@dataclass(frozen=True)
class Attempt:
    """One way to make a call: where, as whom, and the habit of the platform that it gives way to"""

    call: Call
    peer: client.Peer
    habit: str = ""


class Line:
    """A platform on the other end: how it is spoken to, and what is learned meanwhile.

    It is made where there is a database; then any number of threads, or an event loop, may `make`
    calls, which needs none; `keep` finally stores what was learned. In a handshake `peer` says how
    the platform is reached, and its token is used as it is.
    """

    def __init__(self, platform: Platform, peer: client.Peer | None = None) -> None:
        self.platform = platform
        self.peer = self.stored = peer or peer_of(platform)
        self.settled = peer is None
        self.former = keys.previous_token(platform) if self.settled else ""
        self.accepted = False  # the token that is stored
        self.known = set(quirks.known(platform.pk))
        self.found: dict[str, str] = {}

    def make(self, call: Call) -> client.Answer:
        """Make a call and return the answer, whatever it says.

        Raises the errors of `egress.call`.
        """
        talk = self._talk(call)
        said: egress.Request | client.Answer = next(talk)
        while isinstance(said, egress.Request):
            said = _on(talk, _heard(said))
        return said

    async def make_async(self, call: Call, door: Door) -> client.Answer:
        """Do the same in an event loop, through a door of it."""
        talk = self._talk(call)
        said: egress.Request | client.Answer = next(talk)
        while isinstance(said, egress.Request):
            said = _on(talk, await _heard_async(said, door))
        return said

    def _talk(self, call: Call) -> Talk:
        """Say what is to be sent, and hear what came of it, until there is an answer to keep."""
        until = time.monotonic() + call.seconds
        content = call.body if isinstance(call.body, bytes | None) else json.dumps(call.body)
        url = slashed(call.url) if quirks.slash(call.module) in self.known else call.url
        attempt = Attempt(replace(call, body=content, url=url), self.peer)
        first = answer = yield from self._once(attempt, until)
        if answer.http < 300:
            return answer
        for remedy in _REMEDIES:
            if (another := remedy(self, attempt, answer)) and until > time.monotonic():
                attempt = _anew(another)
                answer = yield from self._once(attempt, until)
                if _helped(answer):
                    self._learn(attempt)
                    return answer
        return first

    def keep(self) -> None:
        """Store what was learned: quirks, the form of the token, that the former one is over."""
        found, self.found = self.found, {}
        quirks.note(self.platform.pk, found)
        if self.former and self.accepted:
            keys.forget_previous(self.platform)
        if not found.keys().isdisjoint({Habit.WANTS_PLAIN, Habit.WANTS_BASE64}):
            Platform.objects.filter(pk=self.platform.pk).update(token_form=self.peer.token_form)

    def _once(self, attempt: Attempt, until: float) -> Talk:
        """Make one attempt in the time that is left, and journal it."""
        call, started = attempt.call, time.monotonic()
        try:
            reply = yield client.request(
                call.method,
                call.url,
                peer=attempt.peer,
                body=call.body,
                route=call.route,
                ids=call.ids,
                seconds=until - started,
                largest=call.largest,
            )
        except FAULTS as error:
            journal.record(self._draft(call, started, outcome=str(error)))
            raise
        answer = client.read(reply)
        journal.record(
            self._draft(
                call,
                started,
                outcome=answer.message,
                answer=answer.content,
                http=answer.http,
                code=answer.code,
            )
        )
        self.found |= quirks.of_answer(answer, call.ids.request, wants_data=call.method == "GET")
        self.accepted |= attempt.peer.token == self.stored.token and answer.http < 300
        return answer

    def _draft(self, call: Call, started: float, **told: Any) -> journal.Draft:
        return journal.Draft(
            Exchange.Direction.OUT,
            call.method,
            call.url,
            call.ids,
            call.route,
            call.module,
            call.interface,
            self.platform.pk,
            call.body or b"",
            call.secret,
            milliseconds=round((time.monotonic() - started) * 1000),
            **told,
        )

    def _learn(self, attempt: Attempt) -> None:
        """Use for the calls to come what has just worked."""
        self.found[attempt.habit] = attempt.call.module
        self.known.add(attempt.habit)
        self.peer = attempt.peer


def _on(talk: Talk, heard: egress.Reply | Exception) -> egress.Request | client.Answer:
    """Let a talk go on with what was heard: return what is to be sent next, at last the answer."""
    try:
        return talk.throw(heard) if isinstance(heard, Exception) else talk.send(heard)
    except StopIteration as end:
        answer: client.Answer = end.value
        return answer


def _heard(request: egress.Request) -> egress.Reply | Exception:
    try:
        return egress.call(request)
    except FAULTS as error:
        return error


async def _heard_async(request: egress.Request, door: Door) -> egress.Reply | Exception:
    try:
        return await door.call(request)
    except FAULTS as error:
        return error


def peer_of(platform: Platform) -> client.Peer:
    """Return how to reach a platform."""
    return client.Peer(
        keys.unseal(platform.sealed_token), platform.token_form, tuple(platform.hosts)
    )


def endpoint_of(platform: Platform, module: str, interface: str) -> str:
    """Return where a platform offers an interface of a module.

    Raises NotConnected when the platform cannot be called now, HubError when it does not offer it.
    """
    if platform.state != Platform.State.CONNECTED:
        raise NotConnected(f"{platform} is not connected")
    for (url,) in statements.rows(_ENDPOINT, [platform.pk, module, interface]):
        return str(url)
    raise HubError(f"{platform} does not offer {module} as {interface}")


def make(platform: Platform, call: Call, peer: client.Peer | None = None) -> client.Answer:
    """Make a call and return the answer, whatever it says.

    `peer` is how to reach the platform where that is not what is stored: in a handshake.
    Raises the errors of `egress.call`.
    """
    line = Line(platform, peer)
    try:
        return line.make(call)
    finally:
        line.keep()


def ask(platform: Platform, call: Call) -> client.Answer:
    """Make a call on behalf of somebody who waits for the answer.

    Raises TimedOut (4002) when no answer came in time, NotConnected (4003) when none could come.
    """
    try:
        return make(platform, call)
    except egress.EgressFailedError as error:
        if error.timeout:
            raise TimedOut(f"{platform} did not answer within {call.seconds:g} s") from error
        raise NotConnected(f"{platform} cannot be reached: {error}") from error
    except egress.EgressDeniedError as error:
        raise NotConnected(f"{platform} cannot be reached: {error}") from error


def slashed(url: str) -> str:
    """Return a URL whose path ends in a slash."""
    parts = urlsplit(url)
    return parts._replace(path=parts.path.rstrip("/") + "/").geturl()


def _anew(attempt: Attempt) -> Attempt:
    """Return an attempt as a message of its own."""
    return replace(attempt, call=replace(attempt.call, ids=attempt.call.ids.next()))


def _helped(answer: client.Answer) -> bool:
    """Tell whether an attempt got further: we were let in, and what answers is not a bare server"""
    return answer.http != 401 and (answer.code is not None or answer.http not in NO_SUCH_URL)


def _followed(line: Line, attempt: Attempt, answer: client.Answer) -> Attempt | None:
    """Follow a redirect that keeps method and body, on the same host."""
    place = answer.headers.get("Location", "")
    if answer.http not in {307, 308} or not place:
        return None
    url = urljoin(attempt.call.url, place)
    if urlsplit(url)[:2] != urlsplit(attempt.call.url)[:2]:
        return None
    same = url == slashed(attempt.call.url)
    habit = quirks.slash(attempt.call.module) if same else Habit.REDIRECTS.value
    return replace(attempt, call=replace(attempt.call, url=url), habit=habit)


def _with_slash(line: Line, attempt: Attempt, answer: client.Answer) -> Attempt | None:
    """Try the URL with a slash at its end, where a web server rather than OCPI has refused it."""
    url, habit = slashed(attempt.call.url), quirks.slash(attempt.call.module)
    if answer.http not in {301, 404, 405} or answer.code is not None or url == attempt.call.url:
        return None
    moved = urlsplit(urljoin(url, answer.headers.get("Location", url)))
    if moved[:3] != urlsplit(url)[:3] or quirks.tried(line.platform.pk, habit):
        return None
    return replace(attempt, call=replace(attempt.call, url=url), habit=habit)


def _in_the_other_form(line: Line, attempt: Attempt, answer: client.Answer) -> Attempt | None:
    """Show the token plain instead of in Base64, or the other way round."""
    if answer.http != 401 or not line.settled:
        return None
    plain = attempt.peer.token_form != client.PLAIN
    form, habit = (
        (client.PLAIN, Habit.WANTS_PLAIN) if plain else (client.BASE64, Habit.WANTS_BASE64)
    )
    return replace(attempt, peer=replace(attempt.peer, token_form=form), habit=habit.value)


def _with_former_token(line: Line, attempt: Attempt, answer: client.Answer) -> Attempt | None:
    """Show the token before the last change, in the form known to work."""
    if answer.http != 401 or not line.former:
        return None
    peer = replace(line.peer, token=line.former)
    return replace(attempt, peer=peer, habit=Habit.FORMER_TOKEN.value)


_REMEDIES = (_followed, _with_slash, _in_the_other_form, _with_former_token)
_ENDPOINT = """
    SELECT url FROM parties_endpoint WHERE platform_id = %s AND module = %s AND interface = %s
    ORDER BY id LIMIT 1
"""
