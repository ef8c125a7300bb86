"""calibkit: find, build and judge calibration sets for post-training quantization."""

from calibkit._version import __version__

__all__ = ["__version__"]
