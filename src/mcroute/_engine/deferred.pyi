# Only for use from Cython: see deferred.pxd.
