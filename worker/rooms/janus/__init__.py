"""A Janus VideoRoom: `api` speaks with the server, `roster` knows who is there, `subscriber` hears them, `publisher`
speaks to their browsers, and `room` joins all of it.
"""
