"""The proxy: clients' connections, and the services behind them."""
