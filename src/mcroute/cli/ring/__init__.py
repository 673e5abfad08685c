"""`mcroute ring`: where a ring places keys, which keys a change moves, which system a ring belongs to."""
