"""`mcroute simulate`: the configuration of a user in a fault, on a simulated network."""
