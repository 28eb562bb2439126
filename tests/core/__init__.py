"""The pure core: no I/O, every line and branch of it."""
