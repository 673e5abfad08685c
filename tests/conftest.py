# Before anything is started.
import preloading  # noqa: F401
from hypothesis import settings

pytest_plugins = ["mcroute.testing.fixtures"]

# A slow moment of the machine is not a counterexample.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
