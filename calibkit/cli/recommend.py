"""``calibkit recommend``: which policy, size and scheme to ship, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from calibkit.cli.notes import note
from calibkit.cli.output import Output, check_target, data_options
from calibkit.cli.session import Session, pass_session

if TYPE_CHECKING:
    from calibkit.decide.recommend import Rule
    from calibkit.decide.recommendation import Recommendation


def _names(_: click.Context, parameter: click.Parameter, text: str | None) -> list[str] | None:
    """Read ``a,b,c``."""
    if text is None:
        return None
    found = [name.strip() for name in text.split(",")]
    if not all(found) or len(set(found)) < len(found):
        raise click.BadParameter(f"{text!r}: write different names with commas between them")
    return found


def _sizes(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> list[int] | None:
    """Read ``64,256``."""
    names = _names(context, parameter, text)
    if names is None:
        return None
    if not all(name.isascii() and name.isdigit() and int(name) for name in names):
        raise click.BadParameter(f"{text!r}: write whole numbers above 0, as in 64,256,1024")
    return sorted(int(name) for name in names)


@click.command()
@click.option("--corpus", metavar="NAME", required=True, help="The corpus to be shipped for.")
@click.option(
    "--model",
    metavar="NAME",
    required=True,
    help="The float model: a recipe's alias, or generative or discriminative.",
)
@click.option("--bits", metavar="B", type=click.IntRange(2, 8), required=True, help="Bit width.")
@click.option(
    "--size",
    metavar="N",
    type=click.IntRange(min=1),
    help="Only sets of N documents. [default: the smallest size that is as good as the best]",
)
@click.option(
    "--objective",
    type=click.Choice(["accuracy", "worst-label", "noise-auc"]),
    default="accuracy",
    show_default=True,
    help="What should be high: accuracy, that on the worst label, or the mean over noise levels.",
)
@click.option(
    "--recipe",
    "recipe_name",
    metavar="NAME",
    help="Go by what this recipe measured. [default: the one that says most]",
)
@click.option(
    "--where",
    metavar="SQL",
    help="Only cells that meet this condition, for example \"preset = 'robust'\".",
)
@click.option(
    "--against",
    metavar="ALIAS",
    help="The policy that the others are held against. [default: random]",
)
@click.option(
    "--draws",
    metavar="N",
    type=click.IntRange(min=2),
    default=6,
    show_default=True,
    help="Distinct calibration sets that every policy must have.",
)
@click.option(
    "--tolerance",
    metavar="POINTS",
    type=click.FloatRange(0, 100, min_open=True),
    default=2.0,
    show_default=True,
    help="The default policy is recommended only where no other can be better by more than this.",
)
@click.option(
    "--margin",
    metavar="POINTS",
    type=click.FloatRange(0, 100, min_open=True),
    default=0.5,
    show_default=True,
    help="Within so much of each other two policies count as the same.",
)
@click.option("--all", "everything", is_flag=True, help="Show how every candidate stands instead.")
@click.option(
    "--subset-out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the recommended documents, in calibration order: .csv, .jsonl, .json, .md or"
    " .parquet with id, label and text; .txt with ids alone, as build-subset --ids reads them.",
)
@click.option(
    "--spend",
    metavar="MIN",
    type=click.FloatRange(0, min_open=True),
    help="Measure for MIN minutes first, where it decides most; the same command goes on.",
)
@click.option(
    "--policies",
    metavar="A,B,...",
    callback=_names,
    help="With --spend: the candidates, by a recipe's aliases or by name. [default: every policy"
    " that needs no parameters]",
)
@click.option(
    "--sizes",
    metavar="N,N,...",
    callback=_sizes,
    help="With --spend: sizes to choose from. [default: --size, or 256]",
)
@click.option(
    "--presets",
    metavar="A,B,...",
    callback=_names,
    help="With --spend: presets (or the recipe's schemes) to choose from first. [default: robust]",
)
@click.option(
    "--finalists",
    metavar="N",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="With --spend: how many candidates are measured on fresh draws at the end.",
)
@click.option(
    "--fresh",
    metavar="N",
    type=click.IntRange(min=2),
    default=12,
    show_default=True,
    help="With --spend: on how many fresh draws.",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=1),
    help="With --spend: processes that measure cells. [default: the number of cores]",
)
@click.option(
    "--executor",
    type=click.Choice(["local", "serial"]),
    default="local",
    show_default=True,
    help="With --spend: where cells run, as in evaluate.",
)
@data_options
@pass_session
def recommend(
    session: Session,
    *,
    corpus: str,
    model: str,
    bits: int,
    size: int | None,
    objective: Literal["accuracy", "worst-label", "noise-auc"],
    recipe_name: str | None,
    where: str | None,
    against: str | None,
    draws: int,
    tolerance: float,
    margin: float,
    everything: bool,
    subset_out: Path | None,
    spend: float | None,
    policies: Sequence[str] | None,
    sizes: Sequence[int] | None,
    presets: Sequence[str] | None,
    finalists: int,
    fresh: int,
    workers: int | None,
    executor: Literal["local", "serial"],
    output: Output,
) -> None:
    """Say which policy, size and scheme to ship.

    The scheme comes first: the preset and rounding with the best mean when `random` chooses the
    documents. Then the size: the smallest at which `random` is as good as at its best one. Then
    the policy. The best of many by its mean is flattered by the draws that made it the best, so
    one is recommended only if its gain over `random` (same size, seed, scheme, float model) is
    established: interval without 0, the exact sign-flip test at 5 % after Holm's correction over
    all candidates, and not within --margin (TOST). Where none is, `random` is recommended, and what
    is known about the best of the others is said. What choosing the best by its mean would gain is
    judged on draws and documents that had no say in the choice.

    Refused, with exit code 4 and with what is missing: no cells of `random`; fewer than --draws
    distinct calibration sets of it, or of every other policy; no policy established while the 95 %
    interval of one reaches a gain above --tolerance.

    --spend measures first, by successive halving: all candidates on two draws, the better half on
    four, and so on, on validation documents; then the finalists and `random` on fresh draws, which
    alone are judged. The cells are those of recipes named recommend-..., which `calibkit show` and
    `calibkit evaluate` know as any other.

    \b
    Examples:
      calibkit recommend --corpus ag_news --model discriminative --bits 4
      calibkit recommend --corpus ag_news --model generative --bits 4 --objective noise-auc --all
      calibkit recommend --corpus ag_news --model generative --bits 4 --subset-out chosen.jsonl
      calibkit recommend --corpus ag_news --model discriminative --bits 3 --spend 20 --sizes 64,256
    """
    from calibkit.decide.arms import Question
    from calibkit.decide.recommend import Rule
    from calibkit.decide.recommendation import recommend as look

    if spend is None:
        _refuse(
            "goes with --spend", policies=policies, sizes=sizes, presets=presets, workers=workers
        )
    else:
        _refuse("chooses among measured cells, and --spend measures", where=where, against=against)
        if size is not None and sizes is not None:
            raise click.UsageError("--size is --sizes with one size; leave out one of them")
    if subset_out is not None:
        from calibkit.cli.recommend_subset import check_form

        check_form(subset_out)
        check_target(subset_out, session, "--subset-out")
    question = Question(corpus, model, bits, size, objective, recipe_name, where, against)
    rule = Rule(draws, tolerance / 100, margin / 100)
    if spend is not None:
        from calibkit.cli.evaluate import cores
        from calibkit.cli.recommend_spend import Spending, measure_first

        spending = Spending(
            spend,
            None if policies is None else tuple(policies),
            tuple(sizes or ([size] if size else [256])),
            tuple(presets or ["robust"]),
            finalists,
            fresh,
            workers or cores(),
            executor,
        )
        question = measure_first(session, question, spending)
    found = look(session.store, question, rule)
    _show(found, rule, output, everything=everything)
    if subset_out is not None:
        from calibkit.cli.recommend_subset import write_subset

        write_subset(session.store, found.subset_id, subset_out)
    _tell(found)


def _refuse(why: str, **options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise click.UsageError(f"--{name} {why}; leave out one of them")


def _show(found: Recommendation, rule: Rule, output: Output, *, everything: bool) -> None:
    from calibkit.cli import recommend_rows

    people = output.is_for_people
    if everything:
        output.table(
            recommend_rows.every_candidate(found, in_points=people),
            below=recommend_rows.caption(found),
        )
    elif people:
        output.records(recommend_rows.for_people(found, rule), below=recommend_rows.sections(found))
    else:
        output.table(recommend_rows.in_full(found))


def _tell(found: Recommendation) -> None:
    """Note what bears on the recommendation beside its numbers."""
    from calibkit.decide.recommend import fewest_draws

    choice, evidence = found.choice, found.evidence
    if evidence.split == "test":
        note(
            "chosen on the split test, which flatters what it chose: measure it on documents that"
            " had no say before you quote its value (--spend chooses on the split valid)"
        )
    else:
        note(f"chosen on the split {evidence.split}; measure it on test before you quote its value")
    draws = min(one.gain.draws for one in choice.standings)
    able = fewest_draws(len(choice.standings))
    if draws < able:
        note(
            f"with {draws} draws the exact test tells none of {len(choice.standings):,} candidates"
            f" from chance, however good; with {able} it can, or with fewer candidates"
        )
    if choice.left_out:
        names = ", ".join(map(str, choice.left_out))
        note(f"too few draws, so not among the candidates: {names}")
    if found.missing:
        note(f"planned and not measured: {found.missing}")
    if found.others:
        note(f"other recipes measured such cells: {', '.join(found.others)} (--recipe NAME)")
    if found.unread:
        note(f"no recipe sections: this version cannot read the stored recipe: {found.unread}")
