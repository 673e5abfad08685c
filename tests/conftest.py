# Before anything is started.
from hypothesis import settings

import tests.preloading  # noqa: F401

# The first two are entry points too, which trees that are not installed lack.
pytest_plugins = ["mcroute.testing.fixtures", "mcroute.simulation.fixtures", "pytester"]

# A slow machine is no counterexample.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
