"""The demo: an agent keeps a real report through a real client and a real server.

The report is about something true of the machine it runs on, with no network: the health
of this Python environment's dependencies. `environment` looks, `findings` words what was
seen, `agent` speaks to the server, and `story` does one after the other and tells.
"""
