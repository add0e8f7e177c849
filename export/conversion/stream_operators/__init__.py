"""Operators made for streams, in the place of what computes the same from plain ones.

ONNX Runtime 1.32 has two: ``com.microsoft.LinearAttention``, a state matrix that fades and takes in a frame's values,
and ``com.microsoft.CausalConvWithState``, a depthwise convolution over time. Both give the same bits for any chunking.
They are written where they are quicker on the machine that exports (``choice``); ``python -m
tests.benchmarks.stream_operators`` measures by how much.

Older runtimes do not know them. So the file says itself what each operator means, as a function of the model: a runtime
that has the operator uses it, any other puts the function in its place. Both are proven.

plain_graph         reads a streaming graph of plain operators
linear_attention    where a Scan and what is around it are a LinearAttention
causal_convolution  where taps and their sum are a CausalConvWithState
replacement         puts an operator in their place
choice              whether it is quicker, by measured time
"""

from export.conversion.stream_operators.choice import OPERATORS, forms_of, quickest, with_stream_operators

__all__ = ["OPERATORS", "forms_of", "quickest", "with_stream_operators"]
