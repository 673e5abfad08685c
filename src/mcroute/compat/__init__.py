"""mcroute's parts in the shape that other libraries ask for."""
