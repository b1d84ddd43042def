"""Which aggregated edges of a trained trial matter: three measures, and whether they agree."""
