"""From a budget to a plan: what is left open is chosen so that it fills the time."""
