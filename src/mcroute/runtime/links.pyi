# Only for use from Cython: see links.pxd.
