"""`mcroute ring`: what a ring does with keys, what a change would do, whose ring it is."""
