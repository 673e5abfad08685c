# Only for use from Cython: see dirty.pxd.
