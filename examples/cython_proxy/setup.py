from Cython.Build import cythonize
from setuptools import Extension, setup

# The compiler finds mcroute's declarations in the installed package; there is nothing to link with.
# A splitter is immutable, so threads may share it.
directives = {"language_level": 3, "freethreading_compatible": True}
setup(ext_modules=cythonize([Extension("splitter", ["splitter.pyx"])], compiler_directives=directives))
