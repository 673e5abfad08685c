# Only for use from Cython: see jenkins.pxd; Python has it in hash_key.
