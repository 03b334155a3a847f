"""Solutions of the maths job, from run directories and files to the critique set: what each command does on disk.

Knows paths, reports and what is complete. What becomes of a row is `export`'s to say. Every module is imported by its
own name.
"""
