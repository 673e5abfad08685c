# Only for use from Cython: see duties.pxd.
