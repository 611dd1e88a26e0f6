"""A process of its own that runs schematron: JSON lines in, JSON lines out.

Saxon is native code that has been seen to abort its process, so it is kept out of ours. This
file is run as a program, imports nothing of the hub, and ends when its input does, or when nobody
has asked for a while (it holds 270 MiB). In: {"stylesheet": path, "xml": text}. Out:
{"rules": how many were applied, "failed": [{"id", "text", "fatal"}]} or {"error": text}.
"""

import json
import select
import signal
import sys
from collections.abc import Callable
from functools import cache
from typing import Any
from xml.etree import ElementTree

from saxonche import PySaxonProcessor  # type: ignore[import-not-found]

IDLE_SECONDS = 300
SVRL = "{http://purl.oclc.org/dsdl/svrl}"


def serve() -> None:
    """Answer until the input ends or falls silent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asks; our input then ends
    processor = PySaxonProcessor(license=False)
    compiled = cache(lambda path: _compiled(processor, path))
    while select.select([sys.stdin], [], [], IDLE_SECONDS)[0]:
        line = sys.stdin.readline()
        if not line:
            return
        sys.stdout.write(json.dumps(_answer(processor, compiled, json.loads(line))) + "\n")
        sys.stdout.flush()


def _compiled(processor: Any, path: str) -> Any:
    """Compile a stylesheet from its file, so that the code lists beside it are found."""
    return processor.new_xslt30_processor().compile_stylesheet(stylesheet_file=path)


def _answer(processor: Any, compiled: Callable[[str], Any], asked: dict[str, str]) -> Any:
    try:
        document = processor.parse_xml(xml_text=asked["xml"])
        report = compiled(asked["stylesheet"]).transform_to_string(xdm_node=document)
        return _read(report)
    except Exception as error:  # whatever it was: the other side must not take it for a pass
        return {"error": f"{type(error).__name__}: {error}"}


def _read(report: str) -> dict[str, Any]:
    """Read the result, a report in SVRL."""
    root = ElementTree.fromstring(report)  # noqa: S314 (our own stylesheet wrote it)
    failed = [
        {
            "id": found.get("id", ""),
            "text": " ".join("".join(found.itertext()).split()),
            "fatal": found.get("flag", "fatal") != "warning",
        }
        for found in root.iter(f"{SVRL}failed-assert")
    ]
    return {"rules": sum(1 for _ in root.iter(f"{SVRL}fired-rule")), "failed": failed}


if __name__ == "__main__":
    serve()
