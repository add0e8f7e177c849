"""A look at labelled recordings before anything is trained on them: figures by class, and what looks wrong.

    from export.data import read_dataset
    from export.data.survey import survey

    found = survey(read_dataset("recordings"))
    rich.print(found.table())
    for warning in found.warnings:
        print(warning)

sound.py      what is measured of one recording: length, level, silence, clipping, bandwidth, content
listening.py  many recordings, in threads; a sample of those of very large data sets
division.py   into training, validation and test, with the reason
classes.py    the figures of each class
warnings.py   what is likely to spoil training
summary.py    survey() and Survey
table.py      for the terminal
picture.py    for the eye
"""

from __future__ import annotations

from export.data.survey.classes import ClassFigures
from export.data.survey.division import Division, divide
from export.data.survey.listening import MOST_READ, SAMPLE_PER_CLASS
from export.data.survey.sound import Sound, measure
from export.data.survey.summary import Survey, survey
from export.data.survey.warnings import DataWarning

__all__ = [
    "MOST_READ",
    "SAMPLE_PER_CLASS",
    "ClassFigures",
    "DataWarning",
    "Division",
    "Sound",
    "Survey",
    "divide",
    "measure",
    "survey",
]
