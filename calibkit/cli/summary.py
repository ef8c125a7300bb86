"""The table that ``evaluate`` ends with: what each policy costs, per model and bit width."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from calibkit.cli.table import Figure, Table

if TYPE_CHECKING:
    import duckdb

Level = tuple[str, float]
CLEAN: Level = ("none", 0.0)
GROUP = ("corpus", "recipe", "model", "policy", "size", "bits", "rounding", "scheme_id")
SHIFTS = ("ks_weights", "ks_activations", "ks_token_nll")

_MEASURED = f"""
    SELECT {", ".join(GROUP)}, noise_kind, noise, draws, models, accuracy, ci_low, ci_high,
           accuracy_drop, {", ".join(SHIFTS)}
    FROM summary WHERE recipe = ?
    ORDER BY model, size, bits DESC, rounding, scheme_id, policy
"""
_CELLS = f"""
    SELECT {", ".join(GROUP)}, model_seed, seed, list(DISTINCT preset) AS presets,
           list(DISTINCT flags ORDER BY flags) AS flags
    FROM results WHERE recipe = ?
    GROUP BY {", ".join(GROUP)}, model_seed, seed
    ORDER BY model_seed, seed
"""
_FLOAT = """
    SELECT model, noise_kind, noise, avg(accuracy) AS accuracy
    FROM baselines WHERE recipe = ? AND stage = 'float'
    GROUP BY model, noise_kind, noise
"""


@dataclass(frozen=True)
class Line:
    """One group of cells: same model, policy, size and scheme; values by noise level.

    presets: those that the scheme starts from; several may come to the same scheme. flagged: how
    many of the cells have a flag, at whatever noise level.
    """

    group: dict[str, Any]
    clean: dict[str, Any]
    accuracy: dict[Level, float]
    drop: dict[Level, float]
    presets: set[str] = field(default_factory=set)
    flagged: Counter[str] = field(default_factory=Counter)
    cells: list[tuple[int, int]] = field(default_factory=list)
    interval: dict[Level, tuple[float | None, float | None]] = field(default_factory=dict)

    @property
    def preset(self) -> str:
        """The preset, or several in one word."""
        return "+".join(sorted(self.presets))

    @property
    def flags(self) -> str:
        """The flags with their share of the cells: ``dead-lstm 3/3, nll-explodes 2/3``.

        Flags of equal share stand together.
        """
        together: dict[int, list[str]] = {}
        for flag, n in self.flagged.most_common():
            together.setdefault(n, []).append(flag)
        return ", ".join(f"{'+'.join(f)} {n}/{len(self.cells)}" for n, f in together.items())


@dataclass(frozen=True)
class Summary:
    """A recipe's groups, the accuracy of its float models, and its noise levels."""

    lines: tuple[Line, ...]
    floats: dict[tuple[str, Level], float]
    levels: tuple[Level, ...]

    def in_full(self) -> Table:
        """Return every group with raw fractions, for machines."""
        return Table.of([self._record(line) for line in self.lines])

    def for_people(self) -> Table:
        """Return percent with one decimal, without what is the same everywhere."""
        lines = [line.group for line in self.lines]
        constant = {
            name for name in ("size", "rounding") if len({line[name] for line in lines}) <= 1
        }
        shared = [tuple(line[name] for name in GROUP if name != "scheme_id") for line in lines]
        presets = [line.preset for line in self.lines]
        hidden = set(constant)
        if len(set(shared)) == len(lines):
            hidden |= {"preset", "scheme_id"}
        else:  # schemes that only preset or id tell apart
            named = set(zip(shared, presets, strict=True))
            hidden |= {"scheme_id"} if len(named) == len(lines) else {"preset"}
        records: list[dict[str, Any]] = []
        for line in self.lines:
            model = line.group["model"]
            if not records or records[-1]["model"] != model:
                records.append(self._float_record(model))
            records.append(self._shown(line))
        return Table.of([{k: v for k, v in r.items() if k not in hidden} for r in records])

    @property
    def flagged(self) -> bool:
        """Whether any cell has a flag."""
        return any(line.flags for line in self.lines)

    def caption(self) -> str:
        """Return what the columns of ``for_people`` mean, as lines."""
        if not self.lines:
            return ""
        group = self.lines[0].group
        said = [
            f"{name} {group[name]}"
            for name in ("size", "rounding")
            if len({line.group[name] for line in self.lines}) == 1
        ]
        kinds = ", ".join(dict.fromkeys(kind for kind, _ in self.levels))
        if kinds:
            said.append(f"@ = accuracy under {kinds} noise of that level")
        return (
            f"{group['recipe']} on {group['corpus']}: {'; '.join(said)}\n"
            "accuracy in percent; ± = 95 % t interval over draws (distinct subsets);"
            " drop = float - quantized\n"
            "ks = Kolmogorov-Smirnov D, float against quantized: weights, activations,"
            " token likelihoods\n"
        ) + (
            "flags = signs that a network no longer works, with the share of cells\n" * self.flagged
        )

    def _record(self, line: Line) -> dict[str, Any]:
        model, clean = line.group["model"], line.clean
        record = dict(line.group)
        record |= {"draws": clean.get("draws"), "models": clean.get("models")}
        record["float_accuracy"] = self.floats.get((model, CLEAN))
        record |= {name: clean.get(name) for name in ("accuracy", "ci_low", "ci_high")}
        record["accuracy_drop"] = clean.get("accuracy_drop")
        for level in self.levels:
            name = f"{level[0]}_{level[1]:g}"
            record[f"float_accuracy_{name}"] = self.floats.get((model, level))
            record[f"accuracy_{name}"] = line.accuracy.get(level)
            low, high = line.interval.get(level, (None, None))
            record |= {f"ci_low_{name}": low, f"ci_high_{name}": high}
            record[f"accuracy_drop_{name}"] = line.drop.get(level)
            record[f"noise_drop_{name}"] = _less(clean.get("accuracy"), line.accuracy.get(level))
        record |= {name: clean.get(name) for name in SHIFTS}
        return record | {"preset": line.preset, "flags": line.flags}

    def _shown(self, line: Line) -> dict[str, Any]:
        clean = line.clean
        half = _less(clean.get("ci_high"), clean.get("accuracy"))
        record = {name: line.group[name] for name in GROUP[2:]} | {"preset": line.preset}
        record["float"] = percent(self.floats.get((line.group["model"], CLEAN)))
        record |= {"acc@0": percent(clean.get("accuracy")), "±": percent(half)}
        record |= {"draws": clean.get("draws"), "drop": percent(clean.get("accuracy_drop"))}
        for level in self.levels:
            record[self._heading(level)] = percent(line.accuracy.get(level))
        for name, heading in zip(SHIFTS, ("ks w", "ks act", "ks nll"), strict=True):
            value = clean.get(name)
            record[heading] = None if value is None else Figure(f"{value:.3f}")
        if self.flagged:
            record["flags"] = line.flags
        return record

    def _float_record(self, model: str) -> dict[str, Any]:
        clean = percent(self.floats.get((model, CLEAN)))
        record: dict[str, Any] = {"model": model, "policy": "(float)"}
        record |= dict.fromkeys(("size", "bits", "rounding", "scheme_id", "preset"))
        record |= {"float": clean, "acc@0": clean, "±": None, "draws": None, "drop": None}
        for level in self.levels:
            record[self._heading(level)] = percent(self.floats.get((model, level)))
        return record

    def _heading(self, level: Level) -> str:
        kinds = {kind for kind, _ in self.levels}
        number = f"{level[1]:.2f}" if round(level[1], 2) == level[1] else f"{level[1]:g}"
        return f"@{number}" if len(kinds) == 1 else f"{level[0]}@{number}"


def read_summary(con: duckdb.DuckDBPyConnection, recipe: str) -> Summary:
    """Return what the views ``summary`` and ``baselines`` say of a recipe's latest version."""
    measured = Table.fetched(con.execute(_MEASURED, [recipe])).records()
    floats = con.execute(_FLOAT, [recipe]).fetchall()
    lines: dict[tuple[Any, ...], Line] = {}
    for row in measured:
        key = tuple(row[name] for name in GROUP)
        line = lines.setdefault(key, Line({name: row[name] for name in GROUP}, {}, {}, {}))
        level = (row["noise_kind"], row["noise"])
        if level == CLEAN:
            line.clean.update(row)
        else:
            line.accuracy[level] = row["accuracy"]
            line.drop[level] = row["accuracy_drop"]
            line.interval[level] = (row["ci_low"], row["ci_high"])
    for row in Table.fetched(con.execute(_CELLS, [recipe])).records():
        line = lines[tuple(row[name] for name in GROUP)]
        line.cells.append((row["model_seed"], row["seed"]))
        line.presets.update(row["presets"])
        line.flagged.update({flag: 1 for text in row["flags"] for flag in _names(text)})
    levels = sorted({level for line in lines.values() for level in line.accuracy})
    return Summary(
        tuple(lines.values()),
        {(model, (kind, noise)): accuracy for model, kind, noise, accuracy in floats},
        tuple(levels),
    )


def _names(flags: str) -> list[str]:
    return [flag.strip() for flag in flags.split(",") if flag]


def percent(fraction: float | None) -> Figure | None:
    """Return a fraction as percent with one decimal; never a minus zero."""
    if fraction is None:
        return None
    text = f"{100 * fraction:.1f}"
    return Figure("0.0" if text == "-0.0" else text)


def _less(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def cell_words(columns: Sequence[Any]) -> str:
    """Return a cell in words: model, model seed, policy, size, seed, bits, preset, rounding."""
    model, model_seed, policy, size, seed, *scheme = columns
    bits, preset, rounding = scheme
    drawn = f"{model} {model_seed}, {policy}, size {size}, seed {seed}"
    return f"{drawn}, {bits} bits, {preset}, {rounding}"
