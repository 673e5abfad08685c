from Cython.Build import cythonize
from setuptools import Extension, setup

# mcroute's declarations are found where it is installed; there is nothing to link with.
# A splitter does not change, so that threads may share it.
directives = {"language_level": 3, "freethreading_compatible": True}
setup(ext_modules=cythonize([Extension("splitter", ["splitter.pyx"])], compiler_directives=directives))
