# Only for use from Cython: see engine_jobs.pxd.
