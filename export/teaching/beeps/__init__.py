"""One recording of a repeating beep -> a detector of its pitch and cadence. NumPy and ONNX, nothing is trained.

pattern.py         Beep: what was measured
spectrum.py        how far each line of a spectrum stands out
cycles.py          how long a cycle takes, and one drawn from all
pulses.py          where a line sounds in a cycle, in rooms too
steadiness.py      what tells a beep from a tune
measuring.py       from a recording to a Beep, or why there is none
template.py        Template: bands of a pitch, moments of pulses and gaps
scoring.py         how well the last seconds are the beep, in NumPy
graph.py           the same as a streaming ONNX graph
sounding_beep.py   the beep made anew
trials.py          over talk, music and noise; and other cadences of its pitch
checking.py        the threshold, and what it is worth
proving.py         the file against its arithmetic, and against itself in chunks
beep_picture.py    the measured beep as a picture
making.py          teach_beep(): all of it
"""
