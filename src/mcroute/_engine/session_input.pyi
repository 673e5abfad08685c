# Only for use from Cython: see session_input.pxd.
