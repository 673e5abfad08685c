"""What a proxy tells about itself: counters, latencies, states; as Prometheus and `stats` show them."""
