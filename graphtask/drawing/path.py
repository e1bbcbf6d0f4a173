"""Score, edges and metrics over λ: the path of the L1 penalty."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphtask.columns import with_accuracy
from graphtask.drawing.grouped import from_zero, groups_of, require_columns, share_legend, tidy
from graphtask.drawing.picture import new_figure
from graphtask.drawing.style import WIDTH

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw_path(table: "pd.DataFrame", *, metrics: Sequence[str] = ()) -> "Figure":
    """Draw the score of the pruned networks, the edges that are left, and metrics of the graphs over λ.

    Args:
        table: Table of `graphtask.l1_path`; those of several in one (`pandas.concat`) are shown by data set and prior.
        metrics: Further columns, a panel for each.

    Raises:
        ArgumentError: A column is missing, or there are no rows.

    Example:
        >>> import pandas as pd
        >>> row = dict(run="a", dataset="digits", prior="full")
        >>> rows = [row | dict(edge_l1=x, test_accuracy=0.9, edges=9) for x in (0.001, 0.01)]
        >>> [axes.get_title(loc="left") for axes in draw_path(pd.DataFrame(rows)).axes]
        ['test accuracy', 'edges']
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    table, score = with_accuracy(table)
    titles = {"test_accuracy": f"test {score}", "edges": "edges", **{name: name for name in metrics}}
    require_columns(table, {"dataset", "prior", "edge_l1", *titles}, made_by="graphtask.l1_path")
    is_narrow = table["edge_l1"].max() < 200 * table["edge_l1"].min()
    subs = (1, 2, 5) if is_narrow else (1,)  # decades alone would leave a narrow axis without numbers
    n_rows = -(-len(titles) // 2)
    figure = new_figure(figsize=(WIDTH, 2.3 * n_rows + 0.3), layout="constrained")
    panels = figure.subplots(n_rows, 2, sharex=True, squeeze=False).flatten()
    for axes in panels[len(titles) :]:
        axes.remove()
    for axes, (column, title) in zip(panels, titles.items(), strict=False):
        for group in groups_of(table):
            for index, rows in enumerate(_paths(group.rows)):
                axes.plot(
                    rows["edge_l1"],
                    rows[column].astype("float64"),
                    color=group.color,
                    marker="o",
                    markersize=3,
                    linewidth=1.2,
                    label=group.label if index == 0 else None,
                )
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=subs))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        tidy(axes, title=title, xlabel="λ, the L1 penalty on the edges")
    from_zero(panels[1])
    share_legend(panels[0])
    return figure


def _paths(rows: "pd.DataFrame") -> list["pd.DataFrame"]:
    """Return the rows of each path: λ rises along it, and falls where the next one begins."""
    falls = rows["edge_l1"].diff() <= 0
    return [path for _, path in rows.groupby(falls.cumsum(), sort=False)]
