"""What a reader wants to know, answered in sentences that the data decide.

The rules never say more than the intervals do: what includes 0 is not decided, what does not
survive correction is called ahead and not better, and one draw has no interval at all.
"""

from calibkit.report.answers.cost import what_it_costs
from calibkit.report.answers.fails import where_it_fails
from calibkit.report.answers.quantizer import quantizer_first
from calibkit.report.answers.sure import how_sure
from calibkit.report.answers.which import headline, which_policy

__all__ = [
    "headline",
    "how_sure",
    "quantizer_first",
    "what_it_costs",
    "where_it_fails",
    "which_policy",
]
