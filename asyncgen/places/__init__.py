"""Names and borders of countries and their first-level divisions.

Knows what a name or a point means: ISO 3166-1 and 3166-2 codes. Knows no task, no answer and no score. The tables are
files in `data/`, made by scripts from public packages; they are read when first asked for.
"""
