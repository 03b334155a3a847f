"""One job on many machines, above `run`: a slice is started by hand, with `--partition k/K`, or a chunk (`commands`).

Knows commands and run directories. Does not know episodes or servers.
"""
