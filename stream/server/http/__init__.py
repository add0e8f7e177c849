"""The application and its HTTP part.

app.py        make_app: all routes, what stands before them, and how errors become answers
gate.py       before every request: host, proxies, how many at one time, slow bodies
draining.py   that the end has begun, for everything that stays open
operation.py  a route together with its description
answers.py    JSON answers
uploads.py    bodies, bounded in size and time
held.py       answers that take their time
health.py     /healthz and /readyz
model.py      /v1/model
classify.py   /v1/classify: a whole recording
sources.py    /v1/sources
event_routes.py     /v1/events: history_pages.py, event_stream.py, times.py
clip_files.py       /v1/clips
metrics.py    /metrics
openapi.py    /v1/openapi.json, made of the operations
asyncapi.py   /v1/asyncapi.json, made of the messages of the WebSocket
served.py     what all this needs of a station
"""
