"""Read files of a bank without trusting them, whatever version of their kind they are."""

from typing import Any

from lxml import etree

LARGEST = 20 * 1024 * 1024  # bytes


class BadFile(Exception):
    """The file is not what it should be; the message says what is wrong with it."""


def root_of(content: bytes, kind: str, told: str, bad: type[BadFile] = BadFile) -> Any:
    """Return the root of a file of a kind, such as camt.053; raises `bad` for anything else.

    Namespaces tell no more than the kind; entities and document types are refused.
    """
    if len(content) > LARGEST:
        raise bad(f"the file is larger than {LARGEST // 1024 // 1024} MiB")
    root = _parsed(content, bad)
    if root.getroottree().docinfo.doctype:
        raise bad(f"the file declares a document type, which a {told} never needs")
    if not _is(root, kind):
        raise bad(f"the file is not a {kind} {told}: <{root.tag}>")
    return root


def is_of(content: bytes, kind: str) -> bool:
    """Tell whether a file says that it is of a kind."""
    try:
        return len(content) <= LARGEST and _is(_parsed(content, BadFile), kind)
    except BadFile:
        return False


def _parsed(content: bytes, bad: type[BadFile]) -> Any:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        return etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise bad(f"the file is not XML: {error.msg}") from error


def _is(root: Any, kind: str) -> bool:
    name = etree.QName(root)
    return name.localname == "Document" and kind in (name.namespace or "")


def all_of(item: Any, path: str) -> list[Any]:
    """Return all elements at a path below an element."""
    return item.findall("/".join(f"{{*}}{name}" for name in path.split("/")))  # type: ignore[no-any-return]


def text_of(item: Any, path: str) -> str:
    """Return the text of the first element at a path; nothing without one."""
    found = all_of(item, path)
    return own_text(found[0]) if found else ""


def own_text(item: Any) -> str:
    """Return the text of an element, without needless space."""
    return " ".join((item.text or "").split())
