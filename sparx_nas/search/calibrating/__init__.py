"""How much of a short training's score is its design's, asked before a search."""
