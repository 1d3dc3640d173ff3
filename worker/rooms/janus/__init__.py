"""A Janus VideoRoom: `api` speaks with the server, `roster` knows who is there, `subscriber` hears them, `back` speaks
to their browsers, and `room` joins all of it.
"""
