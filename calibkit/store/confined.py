"""The process in which SQL from outside runs: a script that imports nothing of calibkit.

It writes no file, takes no more memory and processor time than it was given, and can be killed:
DuckDB's own limits do not hold inside one long string, list or pattern. Requests come in on stdin
and answers leave on stdout, as pickles behind their length (see ``confinement``).
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import struct
import sys
import threading
import time
from contextlib import suppress
from importlib import import_module
from typing import Any, BinaryIO

import duckdb

resource: Any = None
with suppress(ImportError):  # no POSIX: DuckDB's own limits remain, and the one who asks can kill
    resource = import_module("resource")

LENGTH = struct.Struct("<Q")
IDLE_SECONDS = 60.0
"""Without a request for so long, the process ends."""
AT_ONCE = 8_192
_SPARE_BYTES = 256 << 20
_SPARE_SECONDS = 10


class Refused(Exception):
    """Why there is no answer: a kind that ``sandbox`` has words for, and a detail."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind, self.detail = kind, detail


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are none."""
    forbid_files()
    while request := received(requests):
        try:
            respond(pickle.loads(request), answers)
        except Refused as refused:
            send(answers, "refused", refused.kind, refused.detail)
        except (MemoryError, duckdb.OutOfMemoryException) as error:
            send(answers, "refused", "memory", str(error))
        except Exception as error:  # what a value or a query brings about ends the query alone
            send(answers, "failed", type(error).__name__, str(error))


def respond(request: dict[str, Any], answers: BinaryIO) -> None:
    """Run one query and send what it gives: ready, columns, rows (any number of times), done."""
    path = request["path"]
    with duckdb.connect(path, read_only=path != ":memory:", config=request["config"]) as con:
        if request["table"] is not None:
            fill(con, *request["table"])
        con.execute("SET disabled_filesystems = 'LocalFileSystem'")
        con.execute("SET lock_configuration = true")
        limit(request["memory_bytes"], request["timeout_s"] * int(request["config"]["threads"]))
        send(answers, "ready")
        answer(con, request, answers)


def fill(con: duckdb.DuckDBPyConnection, types: dict[str, str], lists: list[list[Any]]) -> None:
    """Make the table ``cells`` of columns as lists."""
    columns = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
    con.execute(f"CREATE TABLE cells ({columns})")
    unnested = ", ".join(f"unnest(?::{kind}[])" for kind in types.values())
    con.execute(f"INSERT INTO cells SELECT {unnested}", lists)


def answer(con: duckdb.DuckDBPyConnection, request: dict[str, Any], answers: BinaryIO) -> None:
    """Run the statement, or look for rows of ``cells`` that meet the condition, within the time."""
    timeout_s = float(request["timeout_s"])
    deadline = time.monotonic() + timeout_s
    expired = threading.Event()

    def stop() -> None:
        expired.set()
        con.interrupt()

    timer = threading.Timer(timeout_s, stop)
    timer.daemon = True
    timer.start()
    try:
        if request["table"] is not None:  # `filter` takes one expression and nothing else
            found = con.table("cells").filter(request["sql"]).project("ordinal")
            send(answers, "columns", ("ordinal",), ("BIGINT",))
            send(answers, "rows", found.fetchall())
        else:
            check_single(con, request["sql"])
            con.execute(request["sql"], request["parameters"])
            described = con.description or []
            columns = tuple(str(column[0]) for column in described)
            send(answers, "columns", columns, tuple(str(column[1]) for column in described))
            if described:
                stream(con, request, deadline, answers)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error:
        if expired.is_set():
            raise Refused("time") from None
        raise
    finally:
        timer.cancel()
        timer.join()
    send(answers, "done")


def check_single(con: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Refuse what is not exactly one statement."""
    statements = con.extract_statements(sql)
    # DuckDB 1.5 takes a PIVOT apart into statements without a text of their own
    count = sum(1 for statement in statements if statement.query.strip()) or len(statements)
    if not statements:
        raise Refused("nothing")
    if count > 1 and any(statement.query.strip() for statement in statements):
        raise Refused("several", str(count))


def stream(
    con: duckdb.DuckDBPyConnection, request: dict[str, Any], deadline: float, answers: BinaryIO
) -> None:
    """Send the rows, a few thousand at a time, so that they are never here as a whole."""
    most = request["limit"]
    width = len(con.description or [])
    rows = size = 0
    while most is None or rows < most:
        some = con.fetchmany(AT_ONCE if most is None else min(AT_ONCE, most - rows))
        if not some:
            return
        rows += len(some)
        if time.monotonic() > deadline:
            raise Refused("time")
        if rows * width > request["most_values"]:
            raise Refused("values")
        size += send(answers, "rows", some)
        if size > request["most_bytes"]:
            raise Refused("bytes")


def forbid_files() -> None:
    """Let no regular file be written by this process, and no core be left of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who asks decides
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing fails instead


def limit(memory_bytes: int, cpu_seconds: float) -> None:
    """Bound what this process may take from now on.

    memory_bytes: DuckDB's limit. Values on their way out need as much again, and nothing needs
    more; where DuckDB does not keep to its limit, this one holds (on Linux).
    """
    if resource is None:
        return
    with suppress(OSError, ValueError):  # a lower limit has been set from outside
        most = data_bytes() + 2 * memory_bytes + _SPARE_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (most, resource.RLIM_INFINITY))
    with suppress(OSError, ValueError):
        used = resource.getrusage(resource.RUSAGE_SELF)
        spent = used.ru_utime + used.ru_stime
        most = int(spent + cpu_seconds) + _SPARE_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


def data_bytes() -> int:
    """Return how much private memory the process has mapped."""
    with suppress(OSError), open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123
        for line in status:
            if line.startswith("VmData:"):
                return int(line.split()[1]) << 10
    return 1 << 30


def received(stream: BinaryIO) -> bytes:
    """Return the next request, or nothing when there will be none."""
    if os.name == "posix" and not select.select([stream], [], [], IDLE_SECONDS)[0]:
        return b""
    head = stream.read(LENGTH.size)
    return stream.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else b""


def send(stream: BinaryIO, *message: Any) -> int:
    """Write a message behind its length; return its bytes."""
    data = pickle.dumps(message, protocol=5)
    stream.write(LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()
    return len(data)


if __name__ == "__main__":
    answering = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nothing that runs here writes into answers
    with suppress(BrokenPipeError):
        serve(sys.stdin.buffer, answering)
