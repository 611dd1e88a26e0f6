"""CSV that a spreadsheet cannot misread as formulas (OWASP ASVS, 1.2.10)."""

import re

# What Python calls space, spelled out so that PostgreSQL takes the same for it.
SPACE = "\t\n\x0b\f\r\x1c-\x1f \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
FORMULA = re.compile(f"[{SPACE}'\"]*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def safe(text: str) -> str:
    """Mark a text that a spreadsheet could execute with an apostrophe in front."""
    return f"'{text}" if FORMULA.match(text) else text
