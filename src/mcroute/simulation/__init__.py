"""A whole proxy with its servers on simulated time and a simulated network."""
