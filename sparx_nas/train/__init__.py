"""Full training of an architecture: one process or many, resumable."""
