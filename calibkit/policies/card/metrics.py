"""The metrics of a coverage card: what each is called, needs, and what being unusual means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from calibkit.policies.card import measures
from calibkit.policies.card.documents import CardDocuments, Reference
from calibkit.policies.card.measures import Values
from calibkit.policies.draw import Rows


@dataclass(frozen=True)
class Metric:
    """One line of a card.

    bad: on which side of the random draws a subset stands for its pool less well; '' where
    neither is; that it loses accuracy is not said. harmful:
    whether any value above 0 is bad, however many random draws share it. needs: what must be known
    of the documents. by_site: whether there is one value per activation site. low, high: what a
    value below or above those of random draws means, as part of a sentence.
    """

    name: str
    about: str
    of: Callable[[CardDocuments, Reference, Rows], Values]
    bad: Literal["low", "high", ""]
    low: str
    high: str
    needs: tuple[str, ...] = ()
    by_site: bool = False
    harmful: bool = False


METRICS: tuple[Metric, ...] = (
    Metric(
        "label_chi_square",
        "label mix, chi-square to the pool",
        measures.label_chi_square,
        "high",
        "label counts closer to the pool's",
        "label counts off the pool's",
    ),
    Metric(
        "label_distance",
        "label mix, total variation to the pool",
        measures.label_total_variation,
        "high",
        "a label mix closer to the pool's",
        "a label mix off the pool's",
    ),
    Metric(
        "length_p10",
        "document length, 10 % (tokens)",
        measures.length_quantile(0.1),
        "",
        "shorter short documents",
        "longer short documents",
    ),
    Metric(
        "length_p50",
        "document length, median (tokens)",
        measures.length_quantile(0.5),
        "",
        "shorter documents",
        "longer documents",
    ),
    Metric(
        "length_p90",
        "document length, 90 % (tokens)",
        measures.length_quantile(0.9),
        "",
        "shorter long documents",
        "longer long documents",
    ),
    Metric(
        "tokens_kept",
        "tokens left after cutting (share)",
        measures.tokens_kept,
        "low",
        "more text cut away",
        "less text cut away",
    ),
    Metric(
        "types_covered",
        "vocabulary covered (share of types)",
        measures.types_covered,
        "low",
        "fewer words covered",
        "more words covered",
    ),
    Metric(
        "tokens_covered",
        "pool's tokens of covered types (share)",
        measures.tokens_covered,
        "low",
        "less of the pool's text covered",
        "more of the pool's text covered",
    ),
    Metric(
        "oov_share",
        "tokens outside the vocabulary (share)",
        measures.oov_share,
        "high",
        "fewer unknown words",
        "more unknown words",
    ),
    Metric(
        "mmd",
        "distance to the pool (MMD)",
        measures.mmd,
        "high",
        "topics closer to the pool's",
        "topics off the pool's",
        ("features",),
    ),
    Metric(
        "near_copies",
        "documents with a near copy in the subset (share)",
        measures.near_copies,
        "high",
        "fewer near copies",
        "near copies of each other",
        ("signatures",),
    ),
    Metric(
        "in_test",
        "documents whose text stands in test (share)",
        measures.in_test,
        "high",
        "fewer test documents",
        "documents of the test split",
        ("in_test",),
        harmful=True,
    ),
    Metric(
        "near_test",
        "documents with a near copy in test (share)",
        measures.near_test,
        "high",
        "fewer near copies of test documents",
        "near copies of test documents",
        ("near_test",),
    ),
    Metric(
        "range_covered",
        "pool's ranges covered, p0.1 to p99.9 (share)",
        measures.range_covered,
        "low",
        "less of the ranges covered",
        "more of the ranges covered",
        ("ranges",),
        by_site=True,
    ),
    Metric(
        "clip_rate",
        "pool's values outside the ranges (share)",
        measures.clip_rate,
        "high",
        "fewer values clipped",
        "more values clipped",
        ("ranges",),
        by_site=True,
    ),
    Metric(
        "log_det",
        "information for rounding, log-det ratio",
        measures.log_det,
        "low",
        "less variety of what the linear layer reads",
        "more variety of what the linear layer reads",
        ("gram",),
    ),
)
"""Every metric, in the order of a card."""

BY_NAME = {metric.name: metric for metric in METRICS}

MODEL_NEEDS = ("ranges", "gram")
"""What takes a float model."""


def needs_model(metric: Metric) -> bool:
    """Say whether the metric is one of a subset under a float model."""
    return any(need in MODEL_NEEDS for need in metric.needs)


TEXT_METRICS = tuple(metric for metric in METRICS if not needs_model(metric))
MODEL_METRICS = tuple(metric for metric in METRICS if needs_model(metric))
