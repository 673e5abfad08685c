"""The buckets of histograms, as Python sees them."""


def _bounds():
    cdef int bucket, shift
    bounds = []
    for bucket in range(HISTOGRAM_BUCKETS - 1):
        shift = max(0, (bucket >> SUB_BITS) - 1)
        # Text is rounded once on every processor, a quotient of doubles twice on some.
        bounds.append(float(f"{(bucket - (shift << SUB_BITS) + 1) << shift}e-6"))
    return (*bounds, float("inf"))


# Upper bounds of the buckets in seconds, exclusive.
BOUNDS = _bounds()


def bucket_of(double seconds):
    """The bucket of a duration: the index of its upper bound in BOUNDS."""
    return histogram_bucket(seconds)
