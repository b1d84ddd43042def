"""What is asked for: options from flags and files, settings, the places there are."""
