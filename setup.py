"""What is built in C, in place in a checkout: ``python setup.py build_ext --inplace``."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "restore._pack",
            ["restore/native/pack.c", "restore/native/values.c"],
            depends=["restore/native/json.h", "restore/native/values.h"],
            optional=True,  # where there is no compiler, it is done in Python
        )
    ]
)
