"""Traces and runs for people's eyes.

Knows trace lines, counts and terminals. Does not know how a run is made or stored.
"""
