"""One job on many machines, above `run`. It has no module: a slice is started by hand, with `--partition k/K`.

Knows commands and run directories. Does not know episodes or servers.
"""
