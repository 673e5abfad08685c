# Only for use from Cython: see holds.pxd.
