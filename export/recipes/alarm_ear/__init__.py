"""The recipe of the bundled model ``alarms``: smoke alarms, carbon monoxide alarms and repeating beeps.

    python -m export.recipes.alarms --cache DIR --out assets          (from a clone)

    ../alarms.py          the command
    alarm_sources.py      which recordings sound behind, and their three parts; none is of an alarm
    backgrounds.py        sound of one kind out of them
    imitations.py         voices that say beep
    alarm_mix.py          what scenes are like
    alarm_scenes.py       labelled scenes
    alarm_streams.py      scenes as features and targets on disk
    alarm_settings.py     features, network, how much
    alarm_training.py     training
    alarm_trials.py       one alarm at a known ratio, many times
    alarm_negatives.py    hours without one
    alarm_calibration.py  rules of the detector
    alarm_report.py       figures, as Markdown too
    alarm_release.py      export, proof, card
    alarm_picture.py      a scene drawn

Cadences, sounders, what is near to them, and when a cadence can be known are in ``export.scenes``. What was tried is in
../LABBOOK.md.
"""
