"""Offline ONNX graph -> streaming ONNX graph.

normalise           one form: inlined, one opset
probe               run it at several sizes: which axis is time, what is constant
synthetic_features  what it is run on
convert             walk the operators in order
rules               what each operator becomes in a stream
alignment           how each streaming tensor relates to its offline counterpart
memory              the rows that must be kept as state
writer              collects the new graph
"""

from export.streaming.convert import Streaming, streamify

__all__ = ["Streaming", "streamify"]
