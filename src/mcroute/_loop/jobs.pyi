# Only for use from Cython: see jobs.pxd.
