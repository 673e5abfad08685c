# Only for use from Cython: see xxh3.pxd; Python has it in hash_key.
