"""How keys are distributed over servers: the algorithms, and the table that `mcroute._ring` looks up in."""
