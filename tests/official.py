"""The EVRoaming Foundation's own OpenAPI files against this hub, by hand.

`python -m tests.official FOLDER` starts a hub, calls it with messages that schemathesis generates
from FOLDER (ocpi/2.2.1 of a checkout of ocpi/openapi-specification, which is no part of this
repository), and prints each kind of violation with one example. Exit status 1 when there are any
that docs/ocpi-conformance.md does not argue.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import given
from schemathesis.core.failures import FailureGroup

from tests.fuzzing import CHECKS, OWN, few, messages, registered
from tests.running import fresh_hub

ARGUED = (
    # An id that is no UUID is repeated as it came (T-22); only broken requests have one.
    r".* Response header does not conform to the schema",
    # The files know the refusal of a message on HTTP 400 alone; OCPI has it on 200 (T-10), with
    # the problems in its data (T-08).
    r"200/2\d\d\d (Response violates schema|Undocumented status code)",
    # HTTP 404 for what is not there or not the caller's (T-11, P-04), 413 by HTTP itself.
    r"(404|413)/2\d\d\d Undocumented status code",
)
LEFT_OUT = ("PUT /credentials", "DELETE /credentials")
# What a hub does not serve at such a path: partners' own callback URLs, and what the hub pushes.
NOT_OURS = ("/commands/{command}/{uid}", "/chargingprofiles/result/{uid}", "/hubclientinfo/{")
PLACES = {
    "/ocpi/2.2.1/versions/2.2.1": "/ocpi/2.2.1",
    "/ocpi/2.2.1/versions": "/ocpi/versions",
    "/receiver/cdrs/": f"/receiver/cdrs/{OWN['country_code']}/{OWN['party_id']}/",
}


class Mapped(requests.Session):
    """Sends to the hub's own paths what the files have elsewhere: they leave the paths free."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send one request."""
        for theirs, ours in PLACES.items():
            if theirs in str(request.url):
                request.url = str(request.url).replace(theirs, ours)
                break
        return super().send(request, **options)


Violations = dict[tuple[str, str], list[str]]  # (operation, what) -> its examples


def run(folder: Path) -> Violations:
    """Call every operation of every file; return the violations with their examples."""
    found: Violations = defaultdict(list)
    with fresh_hub() as hub, registered(hub) as session:
        caller = Mapped()
        caller.headers = session.headers
        for file in sorted(folder.glob("modules/*/*interface.yaml")):
            side = {"sender-interface": "/sender", "receiver-interface": "/receiver"}
            base = f"{hub.url}/ocpi/2.2.1{side.get(file.stem, '')}"
            for operation in schemathesis.openapi.from_path(file).get_all_operations():
                call(operation.ok(), base, caller, found)
    return found


def call(operation: Any, base: str, caller: requests.Session, found: Violations) -> None:
    """Call one operation and add its violations; a DELETE of credentials would end the run."""
    if operation.path.startswith(NOT_OURS) or operation.label in LEFT_OUT:
        return
    for strategy in messages(operation):

        @few
        @given(case=strategy)
        def answered(case: Any) -> None:
            response = case.call(base_url=base, session=caller, timeout=30)
            found["", "answers"].append("")
            try:
                case.validate_response(response, checks=CHECKS)
            except FailureGroup as group:
                code = response.json().get("status_code")
                for item in group.exceptions:
                    what = f"{response.status_code}/{code} {item.title}"  # type: ignore[attr-defined]
                    found[operation.label, what].append(item.message)  # type: ignore[attr-defined]

        answered()


def is_argued(what: str) -> bool:
    """Tell whether a kind of violation is argued; docs/ocpi-conformance.md says why."""
    return any(re.fullmatch(pattern, what) for pattern in ARGUED)


def report(found: Violations) -> bool:
    """Print what was seen; return whether all of it is argued."""
    answers = len(found.pop(("", "answers")))
    for (label, what), examples in sorted(found.items()):
        mark = "argued" if is_argued(what) else "NOT ARGUED"
        example = " ".join(examples[0].split())[:160]
        sys.stdout.write(f"{mark}: {len(examples)} x {label} {what}: {example}\n")
    sys.stdout.write(f"{answers} answers\n")
    return all(is_argued(what) for _, what in found)


if __name__ == "__main__":
    sys.exit(not report(run(Path(sys.argv[1]))))
