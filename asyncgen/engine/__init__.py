"""Episodes from the first prompt to the trace: pure decisions (`episode`, `scheduler`) and the driver that acts.

Knows turns, tools, slots and time. Does not know HTTP, files, or what a task asks.
"""
