"""A disk that fails: the n-th file operation, or all from then on, or files over a size."""

from __future__ import annotations

import builtins
import errno
import io
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMED = ["open", "replace", "rename", "link", "unlink", "mkdir", "chmod", "scandir"]
OPEN = ["write", "fsync", "sendfile"]
ON_FILES = ["write", "flush", "read", "readinto", "close"]
NEED_NO_ROOM = {"unlink", "rename", "scandir", "chmod", "read", "readinto", "fsync", "close"}


@dataclass
class Fault:
    """Which file operation below ``root`` fails: the n-th, or from the n-th on what needs room."""

    root: Path
    n: int
    lasting: bool = False
    seen: list[str] = field(default_factory=list)
    happened: bool = False

    def fires(self, what: str) -> bool:
        self.seen.append(what)
        if self.lasting:
            fires = len(self.seen) >= self.n and what not in NEED_NO_ROOM
        else:
            fires = len(self.seen) == self.n
        self.happened |= fires
        return fires

    def error(self) -> OSError:
        number = errno.ENOSPC if self.lasting else errno.EIO
        return OSError(number, os.strerror(number))

    def is_below(self, path: object) -> bool:
        return isinstance(path, (str, os.PathLike)) and str(self.root) in os.path.realpath(path)


class File:
    """An open file whose operations may fail; half of a failing write arrives."""

    def __init__(self, file: Any, fault: Fault) -> None:
        self._file = file
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._file, name)
        if name not in ON_FILES:
            return real

        def counted(*args: Any) -> Any:
            if not self._fault.fires(name):
                return real(*args)
            if name == "write":
                real(args[0][: len(args[0]) // 2])
            if name in ("write", "close"):
                self._file.close()
            raise self._fault.error()

        return counted

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)

    def __enter__(self) -> File:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._file.closed:
            self.close()


@contextmanager
def failing(root: Path, n: int, *, lasting: bool = False) -> Iterator[Fault]:
    """Let the n-th file operation below ``root`` fail (counted from 1), or all that need room."""
    fault = Fault(root.resolve(), n, lasting)

    def named(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(path: Any, *args: Any, **options: Any) -> Any:
            if fault.is_below(path) and fault.fires(name):
                raise fault.error()
            return real(path, *args, **options)

        return counted

    def by_number(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            if fault.fires(name):
                raise fault.error()
            return real(*args, **options)

        return counted

    def opening(path: Any, *args: Any, **options: Any) -> Any:
        if not fault.is_below(path):
            return real_open(path, *args, **options)
        mode = args[0] if args else options.get("mode", "r")
        if fault.fires("read" if mode.startswith("r") and "+" not in mode else "open"):
            raise fault.error()
        return File(real_open(path, *args, **options), fault)

    real_open = io.open
    with pytest.MonkeyPatch.context() as patch:
        for name in NAMED:
            patch.setattr(os, name, named(name, getattr(os, name)))
        for name in OPEN:
            patch.setattr(os, name, by_number(name, getattr(os, name)))
        patch.setattr(io, "open", opening)
        patch.setattr(builtins, "open", opening)
        yield fault


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Let every write beyond ``size`` bytes of a file fail in this process ("File too large")."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)  # Python ignores SIGXFSZ
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
