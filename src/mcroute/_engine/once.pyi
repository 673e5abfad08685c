# Only for use from Cython: see once.pxd.
