"""Pictures of training and evaluation, each readable at a glance. Needs matplotlib.

canvas.py       a figure without a window system, its colours and legends
confusion.py    true against predicted classes
curves.py       loss and figures by epoch
detection.py    DET and ROC curves
reliability.py  predicted probability against the share that is true
events.py       found, missed and doubled events; false alarms an hour
strip.py        a stretch of sound: labels, probabilities, events
"""
