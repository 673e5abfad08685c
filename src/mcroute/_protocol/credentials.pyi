# Only for use from Cython: see credentials.pxd.
