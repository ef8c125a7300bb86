"""The blocks of a page in Markdown, and what of them is executed step by step."""

from __future__ import annotations

import re
from dataclasses import dataclass

SETUP = "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && "


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its first line in the README, its text."""

    language: str
    line: int
    text: str

    @property
    def file(self) -> str | None:
        """The file name in its first line, if it says one."""
        found = re.match(r"# ([\w.-]+\.(?:yaml|py|toml))\n", self.text)
        return found[1] if found else None


@dataclass(frozen=True)
class Step:
    """One thing to execute, and what came of it."""

    line: int
    language: str
    source: str


def read_blocks(page: str) -> list[Block]:
    blocks, lines, start = [], page.splitlines(), None
    for number, line in enumerate(lines, start=1):
        if not line.lstrip().startswith("```"):
            continue
        if start is None:
            start = number
        else:
            language = lines[start - 1].strip().removeprefix("```")
            blocks.append(Block(language, start + 1, "\n".join(lines[start : number - 1]) + "\n"))
            start = None
    assert start is None, f"README.md:{start}: the block never ends"
    return blocks


def command_lines(text: str) -> list[str]:
    """Return the command lines of an sh block; a backslash at the end continues a line."""
    return [line for line in text.replace("\\\n", "").splitlines() if line.strip()]


def statements(text: str) -> list[str]:
    assert "--" not in text, "comments in sql blocks are not understood here"
    return [one.strip() for one in text.split(";") if one.strip()]


def steps_of(blocks: list[Block]) -> list[Step]:
    steps = []
    for block in blocks:
        if block.language == "sh":
            commands = command_lines(block.text)
            steps += [Step(block.line, "sh", one) for one in commands if not one.startswith(SETUP)]
        elif block.language == "sql":
            steps += [Step(block.line, "sql", one) for one in statements(block.text)]
        elif block.language == "python" and block.file is None:
            steps.append(Step(block.line, "python", block.text))
    return steps
