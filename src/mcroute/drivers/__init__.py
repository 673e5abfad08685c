"""What carries bytes, tells the time and runs threads for the runtime: one package for each way."""
