"""Rules for a model that exists, for a budget of false alarms on sound of the place where it listens.

    budget_text.py   "1/day": how many false alarms are allowed
    promise.py       what hours of listening say about the false alarms to come
    score_store.py   what a model gave for hours of sound, on disk, whatever ends the program
    hearing.py       files and devices without events, heard into the store
    positives.py     labelled recordings, heard in one carried stream
    recalibrate.py   recalibrate(): rules, what they give, and what the card's own gave
    summary.py       what was chosen and what it costs
    det.py           the table of missed events against false alarms
    det_picture.py   the same as a picture
    stamp.py         a copy of the model with the new rules and where they come from

Nothing here needs more than the plain installation: people calibrate on the computer that listens.
"""
