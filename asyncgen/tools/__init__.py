"""Tools that a model may call: `@tool`, the picture tools, and the pixels behind them.

Knows arguments and pixels. Does not know how a call travels, nor when one is made.
"""
