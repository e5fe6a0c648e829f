"""Message faults: what is done to one message of a framed link, at one moment of its exchange.

A dialect cuts the streams of a connection into pieces that belong to turns (`turn`), the director asks the toxics which turns they take and
lets their actions loose on the pieces. Pure but for the director, which sits in the pipes as a pair of stages.
"""
