# Only for use from Cython: see link_output.pxd.
