"""Who may do what: tokens and their scopes, origins of pages, names of hosts, proxies.

access.py    Access: the one question that every route asks
tokens.py    the file of tokens: hashes and scopes
failures.py  how often an address may be wrong
origins.py   which pages and which host names are ours
proxies.py   whose forwarded headers are believed
"""
