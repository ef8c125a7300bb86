"""``calibkit claims``: what was measured, held against what a recipe claims."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calibkit.cli.notes import note
from calibkit.cli.output import Output, data_options
from calibkit.cli.session import Session, pass_session
from calibkit.cli.table import Figure, Table
from calibkit.errors import BadInput, ExitCode

if TYPE_CHECKING:
    from calibkit.decide.verdicts import Judged
    from calibkit.recipe import Recipe

CAPTION = """
difference = A - B, or the measure itself where nothing is compared; 95 %: over new draws, and over
new float models where there are several; p holm: of the nearest bound of what is claimed, for all
claims of the family; floor: what two random draws differ by; found: the difference that these
draws find four times out of five
"""
VERDICTS = ("supported", "contradicted", "undecided")


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@data_options
@pass_session
@click.pass_context
def claims(context: click.Context, session: Session, *, recipe: Path, output: Output) -> None:
    """Judge the claims of RECIPE by what is measured.

    A claim says where a difference A - B lies, or a measure by itself: lower or higher, by at least
    `by`, or equal, within `within`. Nothing is measured here: `calibkit evaluate RECIPE` does that.

    \b
      supported     the difference is established to lie where the claim puts it
      contradicted  it is established not to: it has the other sign, or is less than `by`,
                    or more than `within`
      undecided     neither; then it says how many draws, or float models, would decide

    Established means both: the 95 % interval of the difference, over draws and float models, lies
    on one side of the bound that is claimed; and the p value of that bound is at most .05 after
    Holm's correction over all claims of the family. p is that of exact sign flips over draws; with
    several float models the largest of that, of t over both, and of t over either alone.
    Where equality is found, two one-sided tests decide: the 90 % interval inside both bounds, and
    the larger of the two p values.

    So any verdict in a family is wrong with a chance of 5 % at most, if it is asked for once: when
    all is measured, not again and again on the way. Claims measured in part count as they stand,
    and are pointed out.

    The exit code is 0 when all pairs that the claims need are measured, whatever the verdicts, and
    1 while some are not.

    \b
    Examples:
      calibkit claims recipes/paper-claims-embedded.yaml
      calibkit claims recipes/paper-claims.yaml --format markdown
      calibkit claims recipes/paper-claims.yaml --json -o verdicts.jsonl
    """
    from calibkit.recipe import load_recipe

    loaded = load_recipe(recipe)
    if not loaded.claims:
        raise BadInput(f"{recipe}: {loaded.name} declares no claims; add them under claims:")

    from calibkit.decide.claims import judge_claims

    found = judge_claims(session.store, loaded)
    if output.is_for_people:
        output.table(for_people(found), below=CAPTION)
        for one in found:
            if one.evidence.pairs:
                note(sentence(one))
    else:
        output.table(in_full(found, loaded))
    _tell(session, found, loaded, recipe)
    if not all(one.is_measured for one in found):
        context.exit(ExitCode.INCOMPLETE)


def in_full(found: Sequence[Judged], recipe: Recipe) -> Table:
    """Return every claim with raw numbers, for machines."""
    from calibkit.decide.claim_words import TYPES, columns

    records = [columns(one, recipe) for one in found]
    rows = tuple(tuple(record[name] for name in TYPES) for record in records)
    return Table(tuple(TYPES), rows, tuple(TYPES.values()))


def for_people(found: Sequence[Judged]) -> Table:
    """Return rounded numbers in each measure's unit, without columns that nobody fills."""
    records = [_shown(one) for one in found]
    hidden = {name for name in records[0] if all(one[name] is None for one in records)}
    if len({one.claim.family for one in found}) == 1:
        hidden.add("family")
    return Table.of([{k: v for k, v in r.items() if k not in hidden} for r in records])


def sentence(judged: Judged) -> str:
    """Return a claim, its verdict and what it rests on."""
    from calibkit.decide.claim_words import finding

    return f"{judged.verdict}: {judged.claim.says.rstrip('.')}: {finding(judged)}"


def _shown(judged: Judged) -> dict[str, Any]:
    from calibkit.decide.claim_words import claimed, number, would_decide
    from calibkit.recipe.claims import MEASURES

    claim, gain = judged.claim, judged.gain

    def shown(value: float | None, *, signed: bool = False) -> Figure | None:
        return None if value is None else Figure(number(value, claim, signed=signed))

    interval = None
    if gain is not None and gain.low is not None and gain.high is not None:
        interval = Figure(f"{number(gain.low, claim)} to {number(gain.high, claim)}")
    undecided = judged.verdict == "undecided"
    return {
        "claim": claim.id,
        "family": claim.family,
        "verdict": judged.verdict,
        "difference": None if gain is None else shown(gain.gain, signed=True),
        "95 %": interval,
        "claimed": Figure(claimed(claim)),
        "in": MEASURES[claim.measure].unit,
        "p holm": None if gain is None else _p(judged.p_adjusted),
        "draws": 0 if gain is None else gain.draws,
        "models": 0 if gain is None else gain.models,
        "floor": None if gain is None else shown(gain.floor),
        "found": None if gain is None else shown(gain.detectable),
        "to decide": would_decide(judged) if undecided else None,
        "flags": judged.evidence.flags or None,
    }


def _p(value: float) -> Figure:
    return Figure("<.001" if value < 0.0005 else f"{value:.3f}")


def _tell(session: Session, found: Sequence[Judged], recipe: Recipe, file: Path) -> None:
    counts: Counter[str] = Counter(one.verdict for one in found)
    listed = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    note(f"{_claims(len(found))} of {recipe.name}: {listed}")
    missing = [one for one in found if not one.evidence.pairs]
    in_part = [one for one in found if one.evidence.pairs and not one.is_measured]
    store = session.store_option
    named = "" if store is None else f" --store {shlex.quote(str(store))}"
    command = f"`calibkit{named} evaluate {shlex.quote(str(file))}`"
    if missing:
        note(f"{_claims(len(missing))}: no pairs measured; run {command}")
    if in_part:
        note(
            f"{_claims(len(in_part))} judged on a part of the pairs, which is not final; {command}"
            " measures the rest"
        )
    if any(one.evidence.flags for one in found):
        note("claims with flags rest on networks that no longer work, whatever their accuracy")
    if session.store.exists():
        from calibkit.decide.protocol import is_of_this_recipe

        with session.store.reading() as con:
            is_current = is_of_this_recipe(con, recipe)
        if not is_current:
            note(
                f"the latest results of {recipe.name} are not of this file: it was changed since,"
                f" or another recipe has its name; {command} brings them up to date"
            )


def _claims(number: int) -> str:
    return f"{number:,} claim{'' if number == 1 else 's'}"
