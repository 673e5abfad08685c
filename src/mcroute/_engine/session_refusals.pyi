# Only for use from Cython: see session_refusals.pxd.
