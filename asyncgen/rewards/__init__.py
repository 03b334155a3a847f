"""What an answer is worth: reading it out of a text, and scoring it against the row.

Knows answers and truths. Does not know how an answer was come by, nor where scores are kept.
"""
