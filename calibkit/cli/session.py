"""What the group's options say, handed to every command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from calibkit.store import Store


@dataclass(frozen=True)
class Session:
    """The options that stand before a command."""

    store_option: Path | None = None
    debug: bool = False

    @property
    def store(self) -> Store:
        """The store that was named; DuckDB is imported here and not earlier."""
        from calibkit.store import Store, store_path

        return Store(store_path(self.store_option))


pass_session = click.make_pass_decorator(Session, ensure=True)
