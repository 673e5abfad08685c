# Only for use from Cython: see walks.pxd.
