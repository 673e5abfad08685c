# Only for use from Cython: see combining.pxd.
