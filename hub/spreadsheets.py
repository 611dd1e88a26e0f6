"""CSV that a spreadsheet cannot misread as formulas (OWASP ASVS, 1.2.10)."""

import re

FORMULA = re.compile("[\\s'\"]*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def safe(text: str) -> str:
    """Mark a text that a spreadsheet could execute with an apostrophe in front."""
    return f"'{text}" if FORMULA.match(text) else text
