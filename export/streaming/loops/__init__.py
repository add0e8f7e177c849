"""Loops over frames that are a recurrent layer's step, as converters from TensorFlow write them, become operators.

forms       a body's tensors as sums of products: what a step computes, however it is written
cells       such sums that are a step of RNN, GRU or LSTM
replace     the loop found, its step read, the operator put in its place, and both compared
"""

from export.streaming.loops.replace import fuse_loops

__all__ = ["fuse_loops"]
