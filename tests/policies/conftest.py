from __future__ import annotations

import pytest

from calibkit.policies import Pool
from calibkit.testing import example_pool


@pytest.fixture(scope="session")
def pool() -> Pool:
    """400 documents of four labels with vectors and hidden states."""
    return example_pool()
