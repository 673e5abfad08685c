# Only for use from Cython: see retries.pxd.
