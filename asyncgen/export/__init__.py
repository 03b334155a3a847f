"""Traces as other programs take them: pure functions over parsed trace lines, and the files that hold the results."""
