"""The report of a history: what was heard in a day or some days, as tables and pictures.

days.py           days and hours of the local time zone, also those of 23 and 25 hours
figures.py        what a day comes to: classes, hours, minutes
verdicts.py       what a person said of the clips
false_alarms.py   promised against observed, with Poisson bounds
words.py          lengths, times and rates as text
day_text.py       on a terminal
drawing.py        shapes of SVG, with everything escaped
day_pictures.py   a day drawn: timeline, level, counts by hour
page.py           all of it as one HTML file
event_list.py     all events as CSV
as_data.py        all of it as JSON
"""
