"""What all commands share: how they end, what an option may be, Ctrl-C and SIGTERM."""
