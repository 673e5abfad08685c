"""Configuration: TOML text in, the policy objects of `mcroute.policy` out.

On Python 3.10, which reads no TOML by itself, `mcroute-engine[proxy]` has to be installed.
"""

from .load import Config, ProxySettings, load_config, parse_config

__all__ = ("Config", "ProxySettings", "load_config", "parse_config")
