"""Composition root (filled in later)."""
