"""Searches replayed on tables of trainings."""
