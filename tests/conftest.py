from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings

# No law is a matter of time: machines are shared. `make test` tries the same examples whenever it runs; new ones are
# for `make test-explore`.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", parent=_PATIENT, derandomize=True)
settings.register_profile("explore", parent=_PATIENT)
settings.load_profile("repeatable")

_PUBLISHED = Path(__file__).parents[1] / "fixtures" / "published" / "tables_1_2.csv"


@pytest.fixture(scope="session")
def paper_tables():
    """Features of 10 graphs for each of the paper's data sets, drawn around its published means; and their labels."""
    published = pd.read_csv(_PUBLISHED, index_col="feature").drop(index="parameters")
    names = [column.removesuffix("_mean") for column in published.columns if column.endswith("_mean")]
    rng = np.random.default_rng(0)
    drawn = [
        rng.normal(published[f"{name}_mean"], published[f"{name}_std"], size=(10, len(published)))
        for name in names
    ]
    table = pd.DataFrame(np.concatenate(drawn), columns=list(published.index))
    return table, [name for name in names for _ in range(10)]
