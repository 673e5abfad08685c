pytest_plugins = ["mcroute.testing.fixtures"]
