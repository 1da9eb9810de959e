"""How often, and with what chance, each property is tried."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import configuration, settings

# Its cache of the Unicode tables is no part of the repository.
configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "rxauth-hypothesis")

# The same examples in every run, so that a failure is one of the code's. To look for more:
#     pytest tests/properties --hypothesis-profile=hunt --hypothesis-seed=7
settings.register_profile("rxauth", derandomize=True, deadline=None, database=None, max_examples=80)
settings.register_profile("hunt", deadline=None, database=None, max_examples=1600)
settings.load_profile("rxauth")
