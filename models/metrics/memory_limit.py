"""How many scored rows are held in memory, wherever rows are collected to be judged."""

MAX_ROWS_IN_MEMORY = 20_000_000
"""About 0.3 GB while they are collected and 1.5 GB while they are sorted."""
