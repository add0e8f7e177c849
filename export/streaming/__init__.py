"""Offline ONNX graph -> streaming ONNX graph.

normalise   one form: inlined, one opset
probe       run it at several sizes: which axis is time, what is constant
convert     walk the operators in order; ``rules`` carries each over, ``alignment`` keeps the books,
            ``memory`` holds the rows that must be remembered, ``writer`` collects the new graph
"""

from export.streaming.convert import Streaming, streamify

__all__ = ["Streaming", "streamify"]
