"""`mcroute top`: a live view of a running proxy."""
