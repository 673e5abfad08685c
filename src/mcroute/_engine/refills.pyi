# Only for use from Cython: see refills.pxd.
