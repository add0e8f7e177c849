"""to_onnx(): a network that maps a sequence to per-frame scores -> one streaming ONNX file, checked to be equal."""

from __future__ import annotations

from export.conversion.onnx_export import to_onnx

__all__ = ["to_onnx"]
