"""What an answer is worth: reading it out of a text, and scoring it against the row."""
