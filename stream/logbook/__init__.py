"""The history file of ``--history``: one SQLite file of what was heard, that outlives every crash.

layout.sql         the tables
file.py            opening: for writing, for reading; what is refused
packing.py         scores as small blobs
score_curve.py     the scores around one event, bounded however long it lasts
sound_level.py     how loud, over a stretch and at its loudest
minute_sums.py     what a minute comes to
writer.py          rows of one run, each in the file when the call returns
follower.py        messages of one run to rows
promise.py         the false alarms that a model's card expects
contents.py        what stands in a file, as values
reader.py          HistoryReader, read_minutes: reading, also while others write
"""
