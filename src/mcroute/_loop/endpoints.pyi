# Only for use from Cython: see endpoints.pxd.
