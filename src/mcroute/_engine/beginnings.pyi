# Only for use from Cython: see beginnings.pxd.
