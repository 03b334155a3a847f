"""What the demo runs on: a world map, tiles cut from it, and a vision endpoint that finds them again.

Nothing here is needed by a run against real servers.
"""
