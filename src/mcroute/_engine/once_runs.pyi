# Only for use from Cython: see once_runs.pxd.
