"""What each method of a stream recipe gains over the network that is left as it was deployed.

Or over another method: what one update gains over another, or a feature is worth.

A draw is a seed: other batches and another first subset. Methods of the same draw and float model
are paired, and clustered by float model where there are several (``contrast``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from calibkit.decide.contrast import Gain, Paired, contrast, gains_table
from calibkit.decide.evidence import noise_floor
from calibkit.decide.evidence_rows import Row
from calibkit.decide.stream_rows import MEANS, Gone, Setting, Streamed
from calibkit.errors import BadInput, UnknownName
from calibkit.measure.multiple import holm
from calibkit.measure.paired_ratio import Ratio, ratio_interval

Values = dict[tuple[int, int], float]
"""(float model's seed, draw) -> what was measured."""


@dataclass(frozen=True)
class PhaseGain:
    """The gain while the batches of one phase came, on that phase's hold-out."""

    phase: int
    name: str
    gain: Gain

    @property
    def is_below_floor(self) -> bool:
        """Whether it loses more than two draws of the other method differ by here."""
        return self.gain.floor is not None and self.gain.gain < -self.gain.floor


@dataclass(frozen=True)
class Against:
    """A method beside the frozen one (or another), over the draws that both have.

    online, final: gain in `online_accuracy` and `final_accuracy`; their ``floor`` is what two draws
    of the method that it is compared with differ by on average. p_adjusted: of online, by Holm
    (1979) over the methods of this setting. phases: the same as online, phase by phase. share: what
    it keeps of the online gain of the reference, whose alias is ``reference``; None where that has
    no meaning, and ``share_why`` says why. macs_ratio: its multiply-adds as a share of the
    reference's, over the same draws.
    """

    online: Gain
    final: Gain
    p_adjusted: float | None
    phases: tuple[PhaseGain, ...]
    reference: str | None
    share: Ratio | None
    share_why: str
    macs_ratio: float | None

    @property
    def worst(self) -> PhaseGain:
        """The phase in which it gains least, or loses most."""
        return min(self.phases, key=lambda one: one.gain.gain)

    @property
    def falling(self) -> tuple[PhaseGain, ...]:
        """The phases in which it loses more than the floor of that phase, which need not be worst.

        None of them where the floor is unknown: with one draw.
        """
        return tuple(one for one in self.phases if one.is_below_floor)


@dataclass(frozen=True)
class MethodResult:
    """One method in one setting.

    level: its `online_accuracy`, as a gain over 0: mean, interval over draws, numbers of draws and
    float models. means: of what ``MEANS`` names, over its trajectories; None where not defined.
    against: None for the method that others are compared with, and where that one has no draw in
    common with it.
    """

    setting: Setting
    method: str
    subset_update: str
    model_update: str
    model_kind: str
    steps: int
    level: Gain
    means: dict[str, float | None]
    against: Against | None

    @property
    def is_frozen(self) -> bool:
        """Whether it is what the others are compared with."""
        return self.subset_update == self.model_update == "frozen"


def stream_gains(
    streamed: Streamed, *, than: str | None = None, level: float = 0.95
) -> list[MethodResult]:
    """Return every method in every setting, in the recipe's order of methods.

    than: alias of the method that the others are compared with; None for the frozen one. The
    reference is the method that calibrates anew on everything seen; of several, that with the
    subset `everything`, then the first. Raises UnknownName for a method that the recipe does not
    have, BadInput for a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise BadInput(f"level: {level} is not allowed; give a number between 0 and 1")
    if than is not None and than not in streamed.methods:
        raise UnknownName(f"method of the recipe {streamed.recipe!r}", than, streamed.methods)
    found: list[MethodResult] = []
    of_setting: dict[Setting, dict[str, list[Gone]]] = defaultdict(lambda: defaultdict(list))
    for one in streamed.gone:
        of_setting[one.setting][one.method].append(one)
    for methods in of_setting.values():
        ordered = [methods[name] for name in streamed.methods if name in methods]
        found += _adjusted([_result(gone, ordered, than, level) for gone in ordered])
    return found


def _result(
    gone: Sequence[Gone], methods: Sequence[Sequence[Gone]], than: str | None, level: float
) -> MethodResult:
    first = gone[0]
    other = next((of for of in methods if _is_other(of[0], than)), ())
    is_other = _is_other(first, than)
    values = _values(gone, "online_accuracy")
    return MethodResult(
        first.setting,
        first.method,
        first.subset_update,
        first.model_update,
        first.model_kind,
        first.steps,
        contrast(_pairs(values, dict.fromkeys(values, 0.0)), margin=None, level=level),
        {name: _mean([one.values[name] for one in gone]) for name in MEANS},
        None if is_other else _against(gone, other, methods, level),
    )


def _is_other(gone: Gone, than: str | None) -> bool:
    """Say whether others are compared with a trajectory's method."""
    return gone.is_frozen if than is None else gone.method == than


def _against(
    gone: Sequence[Gone],
    frozen: Sequence[Gone],
    methods: Sequence[Sequence[Gone]],
    level: float,
) -> Against | None:
    if not _shared(gone, frozen):
        return None
    reference = _reference(methods)
    share, why = _share(gone, frozen, reference, level)
    return Against(
        _gain(gone, frozen, "online_accuracy", level),
        _gain(gone, frozen, "final_accuracy", level),
        None,
        tuple(
            PhaseGain(phase, name, _gain(gone, frozen, phase, level))
            for phase, name in enumerate(gone[0].phases)
        ),
        reference[0].method if reference else None,
        share,
        why,
        _macs_ratio(gone, reference),
    )


def _adjusted(found: Sequence[MethodResult]) -> list[MethodResult]:
    """Return the methods of a setting with p values that know of each other (Holm, 1979)."""
    tested = [one.against.online.p for one in found if one.against is not None]
    adjusted = iter(holm([p for p in tested if p is not None]))
    results = []
    for one in found:
        against = one.against
        if against is not None and against.online.p is not None:
            against = replace(against, p_adjusted=next(adjusted))
        results.append(replace(one, against=against))
    return results


def _reference(methods: Sequence[Sequence[Gone]]) -> Sequence[Gone]:
    """Return the trajectories of full re-calibration; empty where no method is that."""
    found = [gone for gone in methods if gone[0].model_update == "recalibrate"]
    return min(found, key=lambda gone: gone[0].subset_update != "everything", default=())


def _share(
    gone: Sequence[Gone], frozen: Sequence[Gone], reference: Sequence[Gone], level: float
) -> tuple[Ratio | None, str]:
    """Return what is kept of the reference's gain, or why that cannot be said."""
    if not frozen[0].is_frozen:
        return None, "a share is of the gain over the frozen network"
    if not reference:
        return None, "no method calibrates anew on everything seen"
    if reference[0].method == gone[0].method:
        return None, "it is the reference itself"
    keys = _shared(gone, frozen) & _shared(reference, frozen)
    if len({seed for _, seed in keys}) < 2:
        return None, f"fewer than two draws in common with {reference[0].method}"
    whole = _gain(reference, frozen, "online_accuracy", level, keys)
    name = reference[0].method
    if whole.low is None or whole.high is None or whole.low <= 0 <= whole.high:
        return None, f"the interval of the gain of {name} holds 0"
    if whole.gain < 0:
        return None, f"{name} loses against the frozen network"
    kept, gained = (
        gains_table(
            _pairs(_values(of, "online_accuracy"), _values(frozen, "online_accuracy"), keys)
        )
        for of in (gone, reference)
    )
    return ratio_interval(kept, gained, level), ""


def _macs_ratio(gone: Sequence[Gone], reference: Sequence[Gone]) -> float | None:
    """Return the multiply-adds of a method as a share of the reference's, over the same draws."""
    mine, theirs = _values(gone, "macs"), _values(reference, "macs")
    keys = mine.keys() & theirs.keys()
    whole = sum(theirs[key] for key in keys)
    return sum(mine[key] for key in keys) / whole if whole else None


def _gain(
    gone: Sequence[Gone],
    frozen: Sequence[Gone],
    what: str | int,
    level: float,
    keys: set[tuple[int, int]] | None = None,
) -> Gain:
    """Return the paired gain in a measure, or in the accuracy of one phase while it came."""
    before = _values(frozen, what)
    draws = [Row({}, "", "", *key, str(key[1]), value) for key, value in before.items()]
    return contrast(
        _pairs(_values(gone, what), before, keys),
        margin=None,
        level=level,
        floor=noise_floor(draws),
    )


def _values(gone: Sequence[Gone], what: str | int) -> Values:
    found: Values = {}
    for one in gone:
        value = one.in_phases[what] if isinstance(what, int) else one.values[what]
        if value is not None:
            found[one.model_seed, one.seed] = value
    return found


def _pairs(a: Values, b: Values, keys: set[tuple[int, int]] | None = None) -> list[Paired]:
    """Return pairs of the same float model and draw; a draw is called by its seed."""
    both = a.keys() & b.keys() if keys is None else keys
    return [Paired(*key, str(key[1]), str(key[1]), a[key], b[key]) for key in sorted(both)]


def _shared(one: Sequence[Gone], other: Sequence[Gone]) -> set[tuple[int, int]]:
    """Return the float models and draws that both have."""
    return {(g.model_seed, g.seed) for g in one} & {(g.model_seed, g.seed) for g in other}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
