"""Text and identifiers from files, made fit to be shown, compared and stored. Standard library only."""

from __future__ import annotations

import hashlib
import re
import unicodedata

MAX_TEXT = 256
_SPACE = re.compile(r"\s+")


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """One line of printable text: no control or formatting characters (colour codes, right-to-left overrides), capped.

    A name is shown in labels, lists, file dialogs and reports, and every one of them reads such characters differently.
    """
    text = text[: 8 * limit]
    if not text.isprintable():
        text = _SPACE.sub(" ", _printable(text))
    elif "  " in text:  # the blank is the only space that is printable
        text = _SPACE.sub(" ", text)
    text = text.strip()
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def _printable(text: str) -> str:
    return "".join(
        " " if unicodedata.category(c) in ("Zl", "Zp") or c in "\t\r\n\v\f" else c
        for c in text
        if c in "\t\r\n\v\f" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn")
    )


def synthetic_uid(*parts: str) -> str:
    """A UID under 2.25 (PS3.5 B.2) derived from ``parts``: the same parts give the same UID on every machine."""
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
