"""The built-in tasks by name. Each is written with `from asyncgen import …` alone: they are the examples, too.

Knows names and where their classes are. Does not know how a task is run.
"""

BUILT_IN = {
    "critique": "asyncgen.tasks.critique:Critique",
    "geo": "asyncgen.tasks.geo:Geo",
    "geo-tools": "asyncgen.tasks.geo:GeoTools",
    "math": "asyncgen.tasks.maths:Math",
    "region": "asyncgen.tasks.region:Region",
    "search": "asyncgen.tasks.search:Search",
}
"""Task name → module:Class."""
