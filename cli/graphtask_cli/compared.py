"""Tables and figures that ``graphtask compare`` writes, by the names of their files."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.figure import Figure

    from graphtask.comparison.compare import Comparison


def tables(compared: "Comparison", *, names: Sequence[str]) -> "dict[str, pd.DataFrame]":
    """Return tables by name; graphs are in the order of their groups.

    Args:
        compared: Result of the comparison.
        names: Name of each graph.
    """
    import pandas as pd

    from graphtask.comparison.groups import group_order

    order = group_order(compared.labels)
    first = pd.DataFrame({"graph": list(names), "label": list(compared.labels)})
    features = pd.DataFrame(compared.features.values, columns=list(compared.features.names))
    guesses = {found.method: list(found.predictions) for found in compared.classifications}
    found = {
        "features": pd.concat([first, features], axis=1),
        "groups": compared.groups(),
        "separability": pd.DataFrame([found.row() for found in compared.classifications]),
        "guesses": first.assign(**guesses),
        "confusion": _confusion(compared),
    }
    for method, place in compared.embeddings.items():
        found[f"embedding-{method}"] = place.table(labels=compared.labels, names=names)
    for name in ("features", "guesses", *(f"embedding-{method}" for method in compared.embeddings)):
        found[name] = found[name].iloc[order]
    for name, matrix in (("similarity", compared.similarity), ("dsc", compared.dsc)):
        if matrix is not None:
            found[name] = _square(first, matrix, order)
    return found


def figures(compared: "Comparison") -> "dict[str, Figure]":
    """Return pictures by name."""
    import graphtask as gt

    drawn = {
        f"embedding-{method}": gt.plot.draw_embedding(place.points, compared.labels, axes_labels=place.axes)
        for method, place in compared.embeddings.items()
    }
    if compared.similarity is not None:
        drawn["similarity"] = gt.plot.draw_similarity(
            compared.similarity, compared.labels, quantity="similarity of features, exp(−γd²)"
        )
    if compared.dsc is not None:
        drawn["dsc"] = gt.plot.draw_similarity(
            compared.dsc, compared.labels, quantity="similarity of edges, 2|A∩B|/(|A|+|B|)"
        )
    return drawn


def _confusion(compared: "Comparison") -> "pd.DataFrame":
    import pandas as pd

    counts = []
    for found in compared.classifications:
        first = pd.DataFrame({"method": found.method, "label": list(found.groups)})
        counts.append(pd.concat([first, found.confusion.reset_index(drop=True)], axis=1))
    return pd.concat(counts, ignore_index=True)


def _square(
    first: "pd.DataFrame", matrix: "npt.NDArray[np.float64]", order: "npt.NDArray[np.int64]"
) -> "pd.DataFrame":
    """Return a matrix as a table whose columns have the names of its rows."""
    import numpy as np
    import pandas as pd

    rows = first.iloc[order].reset_index(drop=True)
    values = pd.DataFrame(matrix[np.ix_(order, order)], columns=rows["graph"].tolist())
    return pd.concat([rows, values], axis=1)
