"""Every figure that the docs quote, as a command."""
