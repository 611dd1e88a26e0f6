"""The conformance table: which test shows which requirement of OCPI 2.2.1.

`python -m tests.conformance` writes docs/ocpi-conformance.md from three sources: the requirements
(tests/data/requirements.tsv), the markers `@pytest.mark.ocpi("T-04", ...)` of the tests, and the
remarks (tests/data/requirements-remarks.tsv) on what no test here can show. A remark that begins
with OPEN is a debt, not an argument; it goes away when a test shows the requirement.
"""

import ast
import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parent
REQUIREMENTS = TESTS / "data" / "requirements.tsv"
REMARKS = TESTS / "data" / "requirements-remarks.tsv"
DOCUMENT = TESTS.parent / "docs" / "ocpi-conformance.md"
OPEN = "OPEN"
HEAD = """\
# Conformance to OCPI 2.2.1

Written by `python -m tests.conformance`; do not edit. The requirements are told in our own words.
A level with a dagger (†) is not literally in the specification: it follows from it, or is what a
hub needs to work with real partners. Paths of tests are below `tests/`.

"""


class Requirement(NamedTuple):
    """One thing that is asked of the hub."""

    id: str
    level: str
    wording: str
    section: str

    @property
    def is_must(self) -> bool:
        """Tell whether it may not be missing."""
        return self.level.startswith("MUST")


def requirements() -> list[Requirement]:
    """Return all requirements, in the order of their sections."""
    return [Requirement(**row) for row in _rows(REQUIREMENTS)]


def remarks() -> dict[str, str]:
    """Return what is argued about requirements that no test shows, or not in full."""
    return {row["id"]: row["remark"] for row in _rows(REMARKS)}


def shown() -> dict[str, list[str]]:
    """Return for each id the tests that show it, by the markers in their source."""
    found = defaultdict(list)
    for file in sorted(TESTS.rglob("test_*.py")):
        for name, ids in _marked(ast.parse(file.read_text(), str(file))):
            for item in ids:
                found[item].append(f"{file.relative_to(TESTS)}::{name}")
    return dict(found)


def document() -> str:
    """Return the table as Markdown."""
    tests, said = shown(), remarks()
    lines = [*_summary(tests, said)]
    section = ""
    for item in requirements():
        if item.section != section:
            section = item.section
            lines += ["", f"## {section}", "", "| Id | Level | Requirement | Shown by |"]
            lines.append("|---|---|---|---|")
        lines.append(_line(item, tests.get(item.id, []), said.get(item.id, "")))
    return HEAD + "\n".join(lines) + "\n"


def write() -> None:
    """Drop the debts that are paid, and write the document."""
    tests, said = shown(), remarks()
    kept = {key: text for key, text in said.items() if not (text.startswith(OPEN) and key in tests)}
    REMARKS.write_text("id\tremark\n" + "".join(f"{key}\t{kept[key]}\n" for key in kept))
    DOCUMENT.write_text(document())


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def _marked(module: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Yield the tests of a file with the ids of their markers, those of the file included."""
    everywhere = [
        item
        for node in module.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
        for item in _ids(node.value)
    ]
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            own = [item for decorator in node.decorator_list for item in _ids(decorator)]
            yield node.name, list(dict.fromkeys(everywhere + own))


def _ids(node: ast.AST) -> Iterator[str]:
    """Yield the ids in the calls of pytest.mark.ocpi within an expression."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.ocpi":
            yield from (ast.literal_eval(argument) for argument in call.args)


def _summary(tests: dict[str, list[str]], said: dict[str, str]) -> list[str]:
    lines = ["| Level | Requirements | Shown by a test | Argued | Open |", "|---|---|---|---|---|"]
    levels: dict[str, list[str]] = defaultdict(list)
    for item in requirements():
        levels[item.level].append(_standing(item.id, tests, said))
    for level, standings in levels.items():
        counts = [str(standings.count(name)) for name in ("shown", "argued", "open")]
        lines.append(f"| {level} | {len(standings)} | {' | '.join(counts)} |")
    return lines


def _standing(key: str, tests: dict[str, list[str]], said: dict[str, str]) -> str:
    if key in tests:
        return "shown"
    return "argued" if key in said and not said[key].startswith(OPEN) else "open"


def _line(item: Requirement, tests: list[str], remark: str) -> str:
    if tests and remark.startswith(OPEN):
        remark = ""
    cells = [f"`{test}`" for test in tests] + ([remark] if remark else [])
    return f"| {item.id} | {item.level} | {item.wording} | {'<br>'.join(cells)} |"


if __name__ == "__main__":
    write()
