"""Every knob, declared once: `schema` has them, `knobs` lists them, `load` fills them from YAML, variables, flags."""
