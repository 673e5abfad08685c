# Only for use from Cython: see const_shard.pxd.
