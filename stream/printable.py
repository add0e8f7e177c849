"""Text from outside (cards, file and device names, servers, decoders), made safe to show: the one place for it."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=1024)
def printable(text: str, encoding: str = "utf-8") -> str:
    """``text`` as one line, without anything that could steer a terminal or break columns.

    Control characters, escapes, line separators, private and unpaired code points become "?"; invisible
    format characters (joiners, text direction, variation selectors) vanish; every space is a plain one; what
    ``encoding`` cannot write becomes "?".
    """
    kept = []
    for char in text:
        category = unicodedata.category(char)
        if category == "Cf" or "\ufe00" <= char <= "\ufe0f":
            continue
        if category == "Zs":
            char = " "
        kept.append("?" if category in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp") else char)
    return "".join(kept).encode(encoding, "replace").decode(encoding)


def unicode_text(text: str) -> str:
    r"""``text`` with bytes of a file name that are no UTF-8 written as ``\xe9``: what can be encoded and compared."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def unicode_values(value: Any) -> Any:
    """Plain values (of dictionaries, lists, text and numbers) with `unicode_text` of every text in them."""
    if isinstance(value, str):
        return unicode_text(value)
    if isinstance(value, dict):
        return {unicode_values(key): unicode_values(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [unicode_values(each) for each in value]
    return value


# Delete, the controls from U+0080 on, and format characters: invisible, or changing the direction of text.
_JSON_CONTROLS = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def printable_json(data: bytes) -> bytes:
    """JSON in UTF-8 in which the control characters that JSON allows are written as escapes: the same values."""
    if data.isascii() and b"\x7f" not in data:
        return data
    return _JSON_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", data.decode()).encode()
