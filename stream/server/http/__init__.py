"""The application and its HTTP part.

app.py        make_app: all routes, what stands before them, and how errors become answers
gate.py       before every request: host, proxies, how many at one time, slow bodies
draining.py   that the end has begun, for everything that stays open
operation.py  a route together with its description
answers.py    JSON answers
health.py     /healthz and /readyz
model.py      /v1/model
"""
