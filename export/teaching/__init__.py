"""A few examples of a sound -> a model that knows it, beside what the bundled one knows. NumPy and ONNX, no torch.

front.py       Front: a network trained on many sounds; rows of numbers in which they can be told apart
others.py      fronts that others trained, where their file is given
waveform_front.py  a network on plain sound as a front
windows.py     which window of sound each of its rows is about
examples.py    recordings, and the part of each in which it sounds
heard.py       the same sound in other places
background.py  long stretches of what is none of the sounds
head.py        a logistic regression on rows at several moments
learning.py    Lesson: everything heard once, heads learnt from it
threshold.py   how rarely the background comes so high
judging.py     thresholds for a budget, and what examples not learnt from say
assembly.py    the bundled model, a front and a head as one graph
proof.py       the file against its parts, and against itself in chunks
folder.py      the examples, kept beside the file
quiet_hours.py     the user's own background, kept there as rows of the front
ear.py         examples from a microphone
taught.py      teach(): all of it
beeps/         a beep that repeats, from one recording: its pitch and cadence are measured
"""

from __future__ import annotations

from export.teaching.taught import Report, SoundReport, teach

__all__ = ["Report", "SoundReport", "teach"]
