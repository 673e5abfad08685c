"""mcroute's parts with the interfaces of other libraries."""
