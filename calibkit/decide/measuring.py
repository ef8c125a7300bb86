"""Schemes that differ in bits only, measured on the same documents; nothing is measured twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

from calibkit.decide.judging import Judge, Measured, Seen
from calibkit.decide.subject import Subject
from calibkit.decide.targets import PARTS, fixed_bits, sites_of
from calibkit.quantize.schemes import Scheme, SchemeSettings, merged_settings, resolve
from calibkit.sweep.jobs import Engine

Assignment = Mapping[str, int]
"""Bits of every quantizer, by site name."""


class Meter:
    """Measures a subject under a base scheme with the bits changed.

    settings: the base scheme; the widths that it or its preset gives to quantizers stay as they
    are. nominal: what stands for the grid's bits in schemes that do not depend on them.
    engine: what evaluates; never changes a number.

    sites: all quantizers; fixed: those whose width the base scheme gives, with it; free: the rest.
    on_measured: is told of every network that is measured.
    """

    def __init__(
        self, subject: Subject, settings: SchemeSettings, *, nominal: int, engine: Engine = "auto"
    ) -> None:
        self.subject = subject
        self.settings = settings
        self.nominal = nominal
        self.judge = Judge(subject, engine)
        self.fixed = fixed_bits(subject.kind, settings)
        self.sites = tuple(site for part in PARTS for site in sites_of(subject.kind, part))
        self.free = tuple(site for site in self.sites if site not in self.fixed)
        self.on_measured: Callable[[Measured], None] = lambda found: None
        self._found: dict[tuple[int, ...], Measured] = {}

    @property
    def evaluations(self) -> int:
        """How many schemes have been measured."""
        return len(self._found)

    def assignment(self, bits: int) -> dict[str, int]:
        """Return ``bits`` for every quantizer but the fixed ones, which keep theirs."""
        return dict.fromkeys(self.sites, bits) | self.fixed

    def quantize(self, bits: Assignment) -> SchemeSettings:
        """Return what a recipe's `quantize:` says to give every quantizer its bits.

        The most frequent width is that of a last pattern ``*``, so that the grid's bits have no
        part in it.
        """
        widths = Counter(bits[site] for site in self.free)
        rest = min(widths, key=lambda width: (-widths[width], width))
        said = {site: bits[site] for site in self.free if bits[site] != rest}
        patterns = merged_settings(self.settings)["bits"]
        return self.settings.model_copy(update={"bits": {**said, **patterns, "*": rest}})

    def scheme(self, bits: Assignment) -> Scheme:
        """Return the scheme of an assignment; a uniform one is what a grid's bits would give."""
        widths = {bits[site] for site in self.free}
        if len(widths) == 1:
            return resolve(self.settings, bits=widths.pop())
        return resolve(self.quantize(bits), bits=self.nominal)

    def known(self, bits: Assignment) -> bool:
        """Say whether an assignment has been measured."""
        return self._key(bits) in self._found

    def missing(self, wanted: Iterable[Assignment]) -> int:
        """Return how many of these assignments have yet to be measured."""
        return len({self._key(bits) for bits in wanted} - self._found.keys())

    def measure(self, bits: Assignment) -> Measured:
        """Return how the subject does with these bits; measured once."""
        key = self._key(bits)
        if key not in self._found:
            self._found[key] = self._measure(self.scheme(bits))
            self.on_measured(self._found[key])
        return self._found[key]

    def _key(self, bits: Assignment) -> tuple[int, ...]:
        return tuple(bits[site] for site in self.sites)

    @property
    def exact(self) -> Measured:
        """The float model."""
        return self.judge.exact

    @cached_property
    def _seen(self) -> Seen:
        """What the observer saw of the subset, which bits have no part in."""
        scheme = resolve(self.settings, bits=self.nominal)
        return self.judge.see(self.subject.subset, scheme)

    def _measure(self, scheme: Scheme) -> Measured:
        return self.judge.measure(self.subject.subset, scheme, self._seen)
