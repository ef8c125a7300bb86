"""``calibkit build-subset``: calibration documents, chosen by a policy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from calibkit.cli.notes import note
from calibkit.cli.output import write_line
from calibkit.cli.session import Session, pass_session
from calibkit.errors import BadInput

if TYPE_CHECKING:
    from calibkit.policies.profile import Profile

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@click.command("build-subset")
@click.argument("corpus")
@click.option(
    "--policy", metavar="NAME", required=True, help="How to choose; see: calibkit list policies."
)
@click.option(
    "--size",
    metavar="N",
    type=click.IntRange(min=1),
    required=True,
    help="How many documents to choose.",
)
@click.option(
    "--seed",
    metavar="S",
    type=click.IntRange(min=0),
    required=True,
    help="Which draw: the same seed always chooses the same documents.",
)
@click.option(
    "--pool",
    type=click.Choice(["train", "valid", "test"]),
    default="train",
    show_default=True,
    help="The split to choose from.",
)
@click.option(
    "--share",
    metavar="X",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Use only this share of the corpus, the same documents always.",
)
@click.option(
    "--param",
    "params",
    metavar="'KEY=YAML VALUE'",
    multiple=True,
    allow_from_autoenv=False,  # click would split it at spaces
    help="A parameter of the policy, written as in a recipe; may be repeated.",
)
@click.option(
    "--model",
    metavar="ID",
    help="The float model that model-aware policies look through; see: calibkit list models.",
)
@pass_session
def build_subset(
    session: Session,
    *,
    corpus: str,
    policy: str,
    size: int,
    seed: int,
    pool: str,
    share: float,
    params: Sequence[str],
    model: str | None,
) -> None:
    """Choose SIZE documents of CORPUS, print the subset's id.

    The id alone goes to stdout, the subset's profile to stderr. Asking again for the same is
    instant. A subset that the pool cannot give ends with exit code 4 and the numbers.

    \b
    Examples:
      calibkit build-subset ag_news --policy stratified --size 256 --seed 0
      calibkit build-subset ag_news --policy skewed --param 'weights={World: 3, Sports: 1}' \\
          --size 128 --seed 1
      calibkit build-subset ag_news --policy k-center --param candidates=2000 --size 64 --seed 0
      calibkit show $(calibkit build-subset ag_news --policy random --size 64 --seed 0)
    """
    from calibkit.policies import make_policy

    chosen = make_policy(policy, parameters(params))

    from calibkit.curate.subsets import build_subset as build

    built = build(
        session.store, corpus, chosen, size=size, seed=seed, pool=pool, share=share, model=model
    )
    note("found in the store" if built.existed else "built and stored")
    for line in profile_lines(built.profile):
        note(f"  {line}")
    write_line(built.subset_id)


def parameters(
    given: Sequence[str], option: str = "--param", example: str = "weights={World: 1}"
) -> dict[str, Any]:
    """Return values written as ``key=YAML value``, read as a recipe reads them.

    option: what they were given with; example: one that it may have. Raises BadInput naming both.
    """
    from calibkit.recipe.yaml_source import read_source

    found: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not _NAME.fullmatch(key.strip()):
            raise BadInput(f"{option} {text!r}: write KEY=VALUE, for example {option} '{example}'")
        key = key.strip()
        if key in found:
            raise BadInput(f"{option} {text!r}: {key} is given twice; leave out one of them")
        source = read_source(f"{key}: {value.strip()}", option)
        if source.problems:
            problem = sorted(source.problems)[0]
            raise BadInput(f"{option} {text!r}: {problem.message}")
        if not isinstance(source.value, dict) or list(source.value) != [key]:
            raise BadInput(f"{option} {text!r}: this is more than the one value of {key}")
        found[key] = source.value[key]
    return found


def profile_lines(profile: Profile) -> list[str]:
    """Return a subset's profile for people."""
    mix = ", ".join(f"{label} {share:.1%}" for label, share in profile.label_mix.items() if share)
    none = [label for label, share in profile.label_mix.items() if not share]
    missing = f"; none of {', '.join(none)}" if none else ""
    return [
        f"documents     {profile.documents:,}, {profile.tokens:,} tokens",
        f"labels        {mix}{missing}",
        f"off the pool  {profile.label_total_variation:.3f} (total variation of the label mix)",
        f"length        {profile.length_p10:g} / {profile.length_p50:g} / {profile.length_p90:g}"
        " tokens (10 %, median, 90 %)",
        f"out of vocabulary  {profile.oov_share:.2%} of the tokens",
        f"vocabulary covered {profile.vocabulary_coverage:.2%} of the types",
    ]
