"""to_onnx(): a network that maps a sequence to per-frame scores -> one streaming ONNX file, checked to be equal.

Imported when first used, so that golden vectors and what else needs no torch can be had without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.lazy import lazy_names

if TYPE_CHECKING:
    from export.conversion.onnx_export import to_onnx

__all__ = ["to_onnx"]


__getattr__, __dir__ = lazy_names(__name__, {"to_onnx": "export.conversion.onnx_export"})
