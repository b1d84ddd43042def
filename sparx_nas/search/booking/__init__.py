"""The books of a running search."""
