"""Builds the optional native kernels; all metadata stands in pyproject.toml.

Without a C++17 compiler the package installs all the same: the torch engine serves, and
``calibkit info`` says why the native one is missing.
"""

import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

NATIVE = Path("calibkit/engine/native")


class OptionalBuild(build_ext):
    """Builds what can be built and says plainly what could not."""

    def build_extension(self, ext):
        """Build one extension; a failure leaves a note instead of the extension."""
        try:
            super().build_extension(ext)
        except Exception as error:
            if not ext.optional:
                raise
            print(
                f"calibkit: note: the native kernels were not built ({error}); everything works "
                "without them, the torch engine serves instead, more slowly. Install a C++17 "
                "compiler (GCC) and reinstall to get them.",
                file=sys.stderr,
            )


setup(
    ext_modules=[
        Extension(
            "calibkit.engine.native._kernels",
            sources=[str(path) for path in sorted(NATIVE.glob("*.cpp"))],
            depends=[str(path) for path in sorted(NATIVE.glob("*.h"))],
            extra_compile_args=["-std=c++17", "-O3", "-ffp-contract=off", "-Wall", "-Wextra"],
            language="c++",
            optional=True,
        )
    ],
    cmdclass={"build_ext": OptionalBuild},
)
