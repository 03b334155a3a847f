"""Config (filled in later)."""
