"""The run directory: shards, lock, recovery, index, run.json, events, dataset card, and reading it all back.

`store.Store` is the writing side, `read` the reading side. Importing this package loads nothing.
"""
