"""How long a test waits for something that comes: it ends a hang and judges no speed."""

PATIENCE_S = 900.0
