"""The sounds that a text is spoken with, as espeak-ng writes them."""

from __future__ import annotations

import subprocess
import unicodedata

from stream.errors import DataError

LETTERS = ("Ll", "Lo")  # Unicode categories of the sounds; stress, length and ties are in others


def phones(text: str, language: str) -> str:
    """IPA letters of ``text``, without stress, length and breaks.

    Args:
        text: of one language.
        language: as espeak-ng names it; one that it does not know is spoken in English.

    Raises:
        DataError: espeak-ng is not installed, or fails.
    """
    command = ["espeak-ng", "-q", "--ipa=0", "-v", language, text]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise DataError(
            "espeak-ng: not found; it knows how a text is spoken: apt-get install espeak-ng"
        ) from None
    if done.returncode:
        raise DataError(f"espeak-ng -v {language}: failed: {done.stderr.strip()[-200:]}")
    return letters(done.stdout)


def letters(ipa: str) -> str:
    """The letters of what espeak-ng prints; names of languages between brackets are left out."""
    out, inside = [], False
    for each in unicodedata.normalize("NFD", ipa):
        inside = each == "(" or (inside and each != ")")
        if not inside and unicodedata.category(each) in LETTERS:
            out.append(each)
    return "".join(out)
