"""What is built in C, in place in a checkout: ``python setup.py build_ext --inplace``."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "restore.decode._native",
            [f"restore/decode/native/{name}.c" for name in ("pack", "find", "record", "values")],
            depends=[
                f"restore/decode/native/{name}.h" for name in ("find", "json", "record", "values")
            ],
            optional=True,  # where there is no compiler, it is done in Python
        )
    ]
)
