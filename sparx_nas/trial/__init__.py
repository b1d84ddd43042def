"""One short training: its values and fronts, which need no torch; training, score and device."""
