"""The same application in many processes and machines: a deployment of Ray Serve.

plan.py         what is deployed: models, bounds, how many replicas
environment.py  what Ray's processes must find in their environment
local_ray.py    a Ray of our own on this machine, and the way to one that runs elsewhere
deployment.py   the plan handed to Ray Serve, replaced, removed
replica.py      one replica: an application in a process
departure.py    how a replica learns that it is to leave
figures.py      figures of all replicas, whichever is asked
ray_store.py    where streams wait on their way from one replica to another

A WebSocket stays with the replica that took it, so the state of a stream moves only when its replica leaves. Nothing
here is imported unless Ray is asked for.
"""
