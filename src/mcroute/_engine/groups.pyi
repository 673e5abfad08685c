# Only for use from Cython: see groups.pxd.
