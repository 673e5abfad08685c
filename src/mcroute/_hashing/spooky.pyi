# Only for use from Cython: see spooky.pxd; Python has it in hash_key.
