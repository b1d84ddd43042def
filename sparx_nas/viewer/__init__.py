"""Drawings of wirings, charts, and the offline report of a run; no torch, no network."""
