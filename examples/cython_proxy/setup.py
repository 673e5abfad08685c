from Cython.Build import cythonize
from setuptools import Extension, setup

# mcroute's declarations are found where it is installed; there is nothing to link with.
setup(ext_modules=cythonize([Extension("splitter", ["splitter.pyx"])], language_level=3))
