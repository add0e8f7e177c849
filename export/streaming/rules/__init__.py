"""What each ONNX operator becomes in a stream. One file a family; ``RULES`` is the table they fill.

An operator without a rule is refused: silence would be a guess.
"""

from export.streaming.rules import (
    contraction,
    joining,
    loops,
    normalisation,
    pointwise,
    recurrent,
    reduction,
    reshaping,
    selection,
    upsampling,
    windows,
)
from export.streaming.rules.registry import RULES

__all__ = [
    "RULES",
    "contraction",
    "joining",
    "loops",
    "normalisation",
    "pointwise",
    "recurrent",
    "reduction",
    "reshaping",
    "selection",
    "upsampling",
    "windows",
]
