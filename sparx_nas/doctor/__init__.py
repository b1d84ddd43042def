"""The command that says what a machine has for sparx_nas, and checks it."""
