# Only for use from Cython: see requests.pxd.
