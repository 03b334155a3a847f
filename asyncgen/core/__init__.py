"""The nouns, the protocols, the errors, the clock seam. Imports nothing of ours."""
