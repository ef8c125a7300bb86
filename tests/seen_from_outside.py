"""What is in a folder, as another process sees it: nobody may open a store that it may hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_SCRIPT = """
import hashlib, json, os, stat, sys
for line in sys.stdin:
    top, found = json.loads(line), {}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            what = oct(status.st_mode)
            if stat.S_ISLNK(status.st_mode):
                what += " " + os.readlink(path)
            elif stat.S_ISREG(status.st_mode) and not status.st_size:
                what += " empty"
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    what += " " + hashlib.file_digest(file, "sha256").hexdigest()
            found[os.path.relpath(path, top)] = what
    print(json.dumps(found), flush=True)
"""


class Outside:
    """A process that looks into folders. A context manager."""

    def __enter__(self) -> Outside:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def files(self, folder: Path) -> dict[str, str]:
        """Return everything below a folder: path -> mode, and the sha256 of what is in it."""
        print(json.dumps(str(folder)), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())
