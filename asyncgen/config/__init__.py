"""Every knob, declared once: `schema` has them, `knobs` lists them, `load` fills them from YAML, variables, flags.

Knows a job's values and what is wrong with one. Does not know tasks, datasets or servers.
"""
