"""Widths and levels that make no network are refused."""

import pytest

from mistdata.estimator.config import NetworkConfig


@pytest.mark.parametrize("levels", [(), (0.5, 0.1), (0.5, 1.0), (0.1, 0.9)])
def test_levels_increase_and_hold_the_median(levels):
    with pytest.raises(ValueError, match="levels must"):
        NetworkConfig(levels=levels)
