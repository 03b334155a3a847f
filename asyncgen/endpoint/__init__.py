"""One OpenAI-compatible server or many: requests, answers, faults, retries, limits, health.

Knows HTTP and the server dialects. Knows nothing of samples, tasks, episodes or stores.
"""
