"""The front of ``stream-classify teach``: a small causal network that hears as two large ones do.

Its teachers are Google's speech embedding, which tells words apart, and YAMNet, which tells sounds apart (both Apache
2.0; see ``export.recipes.speech_embedding`` and ``export.recipes.yamnet`` for their files). It learns what these say of
the same sound, from recordings of Debian's packages and synthetic words; nobody labels anything.

chunks.py         chunks of ten seconds of everything
targets.py        what the teachers say of them
convolutions.py   the network, and its streaming form
learning_from.py  training
release.py        the file, and the background that comes with it
__main__.py       python -m export.recipes.sound_embedding
"""
