"""Runs routers, clients and memcached servers on a simulated network, in virtual time. One seed, one history.

The runtime, the engine, the policy, the asyncio driver, the proxy and the client are the ones that serve in
production. Servers and the network are modelled.
"""
