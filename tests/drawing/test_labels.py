import numpy as np

from graphtask.drawing.labels import Label, centers_of_labels

BOX = np.array([[-100.0, -50.0], [100.0, 50.0]])
LEFT = np.array([-80.0, 0.0])


def center(label, curves):
    (found,) = centers_of_labels(
        [label], nodes=LEFT[None], radii=np.array([5.0]), curves=np.asarray(curves), bounds=BOX
    )
    return found


def test_the_label_of_the_input_is_outside_the_graph_though_an_edge_passes_there():
    """Only the place to the right of the node is free."""
    around = np.linspace(np.pi / 4, 2 * np.pi - np.pi / 4, 40)
    ring = LEFT + 13 * np.stack([np.cos(around), np.sin(around)], axis=1)
    edges = ring[[10, 29]]  # above and below
    label = Label("input", LEFT, 5.0, (18.0, 8.0), is_required=True)
    assert center(label, edges)[0] <= LEFT[0]
    assert center(label._replace(is_required=False), ring)[0] > LEFT[0]
