"""``calibkit build-subset``: calibration documents, chosen by a policy or by the user."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calibkit.cli.notes import note
from calibkit.cli.output import write_line
from calibkit.cli.session import Session, pass_session
from calibkit.errors import BadInput

if TYPE_CHECKING:
    from calibkit.curate.subsets import BuiltSubset
    from calibkit.policies.profile import Profile

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@click.command("build-subset")
@click.argument("corpus")
@click.option("--policy", metavar="NAME", help="How to choose; see: calibkit list policies.")
@click.option(
    "--size", metavar="N", type=click.IntRange(min=1), help="How many documents to choose."
)
@click.option(
    "--seed",
    metavar="S",
    type=click.IntRange(min=0),
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
    help="The float model that policies look through, or that writes documents; see: calibkit list"
    " models.",
)
@click.option(
    "--ids",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True),
    help="Instead of a policy: one document id a line, in calibration order; - is stdin.",
)
@pass_session
def build_subset(
    session: Session,
    *,
    corpus: str,
    policy: str | None,
    size: int | None,
    seed: int | None,
    pool: str,
    share: float,
    params: Sequence[str],
    model: str | None,
    ids: str | None,
) -> None:
    """Choose SIZE documents of CORPUS, print the subset's id.

    The id alone goes to stdout, the subset's profile to stderr. Asking again for the same is
    instant. A subset that the pool cannot give ends with exit code 4 and the numbers.

    --policy, --size and --seed choose; or the documents are yours, with --ids. Then they must be of
    the pool, and those whose text stands in the test split are refused. Blank lines and # comments
    are skipped.

    \b
    Examples:
      calibkit build-subset ag_news --policy stratified --size 256 --seed 0
      calibkit build-subset ag_news --policy skewed --param 'weights={World: 3, Sports: 1}' \\
          --size 128 --seed 1
      calibkit build-subset ag_news --policy k-center --param candidates=2000 --size 64 --seed 0
      calibkit build-subset ag_news --policy noise-mix --param level=0.2 --size 64 --seed 0
      calibkit build-subset ag_news --ids chosen.txt
      calibkit show $(calibkit build-subset ag_news --policy random --size 64 --seed 0)
    """
    given: dict[str, object] = {"--policy": policy, "--size": size, "--seed": seed}
    if ids is not None:
        given |= {"--param": params or None, "--model": model}
        refused = [option for option, value in given.items() if value is not None]
        if refused:
            raise click.UsageError(
                f"--ids says which documents, so {_and(refused)} cannot be given; leave out "
                "the one or the other"
            )
        built = _of_ids(session, corpus, ids, pool, share)
    elif policy is None or size is None or seed is None:
        missing = [option for option, value in given.items() if value is None]
        verb = "is" if len(missing) == 1 else "are"
        raise click.UsageError(
            f"{_and(missing)} {verb} missing; give --policy NAME --size N --seed S, or name the "
            "documents with --ids FILE"
        )
    else:
        from calibkit.policies import make_policy

        chosen = make_policy(policy, parameters(params))

        from calibkit.curate.subsets import build_subset as build
        from calibkit.store.presence import in_use

        with in_use(session.store):
            built = build(
                session.store,
                corpus,
                chosen,
                size=size,
                seed=seed,
                pool=pool,
                share=share,
                model=model,
                tell=note,
            )
    note("found in the store" if built.existed else "built and stored")
    for line in profile_lines(built.profile):
        note(f"  {line}")
    write_line(built.subset_id)


def _of_ids(session: Session, corpus: str, file: str, pool: str, share: float) -> BuiltSubset:
    from calibkit.curate.listed import MOST_BYTES, read_ids, subset_of_ids

    if file == "-":
        listed = read_ids(sys.stdin.buffer.read(MOST_BYTES + 1), "<stdin>")
    else:
        with Path(file).open("rb") as stream:
            listed = read_ids(stream.read(MOST_BYTES + 1), file)
    return subset_of_ids(session.store, corpus, listed, pool=pool, share=share)


def _and(options: Sequence[str]) -> str:
    *most, last = options
    return f"{', '.join(most)} and {last}" if most else last


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
