"""The ready proxy: clients that connect, and what serves them."""
