"""Every opinion of mcroute: what to ask, whom to trust, when to give up. Pure Python, no I/O, no clock."""
