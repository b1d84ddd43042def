"""The explorer's server: what it may open, what it answers, and whom."""
