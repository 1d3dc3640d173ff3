"""WebRTC with RTP taken out of aiortc's hands; only this package touches private parts of aiortc and aioice.

aiortc keeps SDP, ICE, DTLS, RTCP parsing and SCTP. `connection` opens and closes as a whole, `transport` takes every
datagram first, `peer` answers a browser in the embedded room, `listener` answers an SFU, `stock` hears through aiortc's
own receiver for comparison, and `names` tells whether the private parts still are what all of them think.
"""
