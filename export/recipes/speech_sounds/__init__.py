"""The start of ``stream-classify train`` where speakers are few: a network that has learnt the sounds of speech.

phones.py       a text -> the sounds it is spoken with, by espeak-ng
transcribed.py  recordings whose text is known: volunteers of a dozen languages, a telephone exchange, synthetic voices
utterances.py   their features and sounds, in one array
variation.py    the same speech by other people, in other rooms, through other microphones
learning.py     a network that writes the sounds down (CTC)
make_start.py   all of it: python -m export.recipes.speech_sounds.make_start --out assets
"""
