# Only for use from Cython: see session_output.pxd.
