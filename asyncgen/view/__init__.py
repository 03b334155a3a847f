"""Traces and runs for people's eyes."""
