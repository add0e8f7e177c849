"""Recurrences that are written by hand: a loop over frames in Python becomes one ONNX Scan, whose state can be carried.

looping     does a module's forward loop over its frames?
unrolled    the traced graph of a short sound, with every tensor's value
period      where in it the same operators come again and again
iterations  what each of these repetitions reads, and from where
initial     start values, and loops that treat the first frame in their own way
body        one repetition as a graph of its own
rewriting   a loop in place of its repetitions
stacks      frames that are put together again
roll        all of it, loop by loop
spelling    functions that the tracing exporter does not know
parallel    what is computed for all frames at once, as the loop over frames that it stands for
complex_numbers  as pairs of real ones
step_form   modules that take their state and give it back
step_graph  ONNX graphs that do
state_names which of their outputs is the next value of which input
"""

from export.recurrences.complex_numbers import ComplexAsPairs
from export.recurrences.looping import FrameWrites, short_examples, work_over_frames
from export.recurrences.parallel import Stepwise, step_by_step
from export.recurrences.roll import NOTHING_REPEATS, roll
from export.recurrences.spelling import scans_in_turn
from export.recurrences.state_names import takes_states
from export.recurrences.step_form import step_form
from export.recurrences.step_graph import StepGraph

__all__ = [
    "NOTHING_REPEATS",
    "ComplexAsPairs",
    "FrameWrites",
    "StepGraph",
    "Stepwise",
    "roll",
    "scans_in_turn",
    "short_examples",
    "step_by_step",
    "step_form",
    "takes_states",
    "work_over_frames",
]
