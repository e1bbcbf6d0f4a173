import numpy as np

from graphtask.drawing.labels import Label, Text, place_labels

BOX = np.array([[-100.0, -50.0], [100.0, 50.0]])
LEFT = np.array([-80.0, 0.0])


def center(label, curves):
    (found,) = place_labels(
        [label], nodes=LEFT[None], radii=np.array([5.0]), curves=np.asarray(curves), bounds=BOX
    )
    return found.center


def test_the_label_of_the_input_is_outside_the_graph_though_an_edge_passes_there():
    """Only the place to the right of the node is free."""
    around = np.linspace(np.pi / 4, 2 * np.pi - np.pi / 4, 40)
    ring = LEFT + 13 * np.stack([np.cos(around), np.sin(around)], axis=1)
    edges = ring[[10, 29]]  # above and below
    label = Label([Text("input", 18.0, 8.0)], LEFT, 5.0, is_required=True)
    assert center(label, edges)[0] <= LEFT[0]
    assert center(label._replace(is_required=False), ring)[0] > LEFT[0]


def test_a_shorter_form_is_chosen_where_the_longer_has_no_free_place():
    wall = np.stack([np.full(40, -60.0), np.linspace(-50, 50, 40)], axis=1)  # 20 points right of the node
    forms = [Text("a long name", 60.0, 8.0), Text("a…e", 16.0, 8.0)]
    for is_required in (False, True):
        label = Label(forms, LEFT, 5.0, is_required=is_required)
        (placed,) = place_labels([label], nodes=LEFT[None], radii=np.array([5.0]), curves=wall, bounds=BOX)
        assert placed.content == "a…e"
        assert not (np.abs(wall - placed.center) < [8, 4]).all(axis=1).any()
