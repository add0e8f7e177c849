"""The page: what the station hears, in a browser.

page.py      its routes
files.py     index.html, style sheets and JavaScript modules, with their Content-Security-Policy
look.py      the terminal's colours and measures
live.py      how sources stand, as server-sent events
"""
