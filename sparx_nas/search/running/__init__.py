"""The search as it runs: on Ray, from the first proposal to the report."""
