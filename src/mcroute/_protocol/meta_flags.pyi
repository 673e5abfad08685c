# Only for use from Cython: see answers.pxd.
