"""Recurrences that are computed for all frames at once: as a scan of gates, or as a convolution with a long kernel.

No graph of such a computation can be carried: it sees every frame, its sizes grow with the sound, and its sums and
powers overflow in a stream. So it is not converted but recognised, in the numbers that it makes, and written anew as
the step that it stands for. The proof then compares that step with the network.

record      every function of torch that a network calls, with its values
gates       h[t] = a[t] h[t-1] + b[t] among these values
transforms  what runs through spectra over time is linear and causal: its kernel
kernels     a kernel as a sum of decaying oscillations, or as one that ends
steps       the loops over frames that stand for them
stepwise    the network with these loops in place
"""

from export.recurrences.parallel.stepwise import Stepwise, step_by_step

__all__ = ["Stepwise", "step_by_step"]
