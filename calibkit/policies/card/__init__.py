"""The coverage card: is a subset good, before anything is quantized? Arrays in, lines out.

Every metric of a subset stands beside the 5th, 50th and 95th percentile of random draws of the same
size from the same pool, so that what is unusual is visible.
"""

from calibkit.policies.card.documents import CardDocuments, Reference
from calibkit.policies.card.envelope import (
    DRAWS,
    LEAST_DRAWS,
    OUTSIDE,
    OUTSIDE_ALL,
    Envelope,
    Line,
    envelope,
    line_of_all,
    lines_of,
    random_rows,
)
from calibkit.policies.card.metrics import BY_NAME, METRICS, MODEL_METRICS, TEXT_METRICS, Metric
from calibkit.policies.card.sites import SiteReference
from calibkit.policies.card.words import in_short, in_words

__all__ = [
    "BY_NAME",
    "DRAWS",
    "LEAST_DRAWS",
    "METRICS",
    "MODEL_METRICS",
    "OUTSIDE",
    "OUTSIDE_ALL",
    "TEXT_METRICS",
    "CardDocuments",
    "Envelope",
    "Line",
    "Metric",
    "Reference",
    "SiteReference",
    "envelope",
    "in_short",
    "in_words",
    "line_of_all",
    "lines_of",
    "random_rows",
]
