"""Builds the Cython kernels: every .pyx below a `kernels` folder, in parallel. All else stands in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CORES = os.cpu_count() or 1

# What all kernels need of typed memoryviews stands in one module of its own; in each, it was half of the compile time.
MEMORYVIEWS = "nunchi.kit.kernels.memoryviews"


class ParallelBuild(build_ext):
    """One compiler a core."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or CORES


def memoryviews() -> Extension:
    source = Path("src", *MEMORYVIEWS.split(".")).with_suffix(".c")  # generated, below build_dir
    return Extension(MEMORYVIEWS, [str(source)], extra_compile_args=["-O2", "-g0"])


def kernels() -> list[Extension]:
    flags = [
        "-std=c++20",
        "-O3",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-ffp-contract=off",
        "-g0",
        "-Wno-unused-function",
    ]
    return [
        Extension(
            ".".join(path.relative_to("src").with_suffix("").parts),
            [str(path)],
            language="c++",
            extra_compile_args=flags,
            extra_link_args=["-pthread"],
        )
        for path in sorted(Path("src/nunchi").glob("**/kernels/*.pyx"))
    ]


def extensions() -> list[Extension]:
    directives = {
        "language_level": "3",
        "boundscheck": False,
        "wraparound": False,
        "cdivision": True,
        "initializedcheck": False,
        "freethreading_compatible": False,
    }
    return cythonize(
        [memoryviews(), *kernels()],
        compiler_directives=directives,
        nthreads=CORES,
        build_dir="build/cython",
        shared_utility_qualified_name=MEMORYVIEWS,
    )


setup(ext_modules=extensions(), cmdclass={"build_ext": ParallelBuild})
