"""Figures of calibration studies: plain rows in, inline SVG with alternative text out."""

from calibkit.report.figures.bar_chart import bars
from calibkit.report.figures.colours import stylesheet
from calibkit.report.figures.figure import Figure
from calibkit.report.figures.forest import intervals
from calibkit.report.figures.heat import heat_map
from calibkit.report.figures.lines import curves
from calibkit.report.figures.sites import shifts

__all__ = ["Figure", "bars", "curves", "heat_map", "intervals", "shifts", "stylesheet"]
