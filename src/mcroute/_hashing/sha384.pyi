# Only for use from Cython: see sha384.pxd; Python has it in hash_key.
