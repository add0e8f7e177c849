"""Names of sounds that are taught: each is also the name of the folder that its examples are in."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stream.errors import UsageError

LONGEST_NAME = 40
_NAME = re.compile(rf"[^\W_][\w .+-]{{0,{LONGEST_NAME - 1}}}")


def check_sound_name(label: str, reserved: Sequence[str]) -> None:
    """UsageError unless ``label`` can be the name of a sound and of a folder."""
    if not _NAME.fullmatch(label) or label != label.strip() or label.endswith("."):
        raise UsageError(
            f"name {label!r}: want letters, digits, spaces, . + - _, {LONGEST_NAME} at most, such as mydog"
        )
    if label in reserved:
        raise UsageError(f"name {label}: a bundled class; choose another, such as my-{label}")
