"""Which candidate is next."""
