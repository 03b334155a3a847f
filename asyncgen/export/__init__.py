"""Traces as other programs take them: pure functions over parsed trace lines, and the files that hold the results.

Knows the keys of a trace line. Does not know how a run directory is written, nor who reads the results.
"""
