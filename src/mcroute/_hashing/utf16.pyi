# Only for use from Cython: see utf16.pxd; Python has it in hash_key.
