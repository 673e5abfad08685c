# Only for use from Cython: see link_input.pxd.
