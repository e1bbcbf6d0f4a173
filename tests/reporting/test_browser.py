"""Pages in a browser: no errors, the library's numbers, keyboard, hostile names; `make test-slow` runs them."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
from browser import CHROMIUM, Browser

import graphtask as gt
from graphtask.graph import with_initial_size
from graphtask.reporting.page import script_json
from graphtask.reporting.widget import widget_code

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


HOSTILE = "<img src=x onerror=alert(1)>\"'&\u202e"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def trained(seed):
    graph, rng = with_initial_size(gt.random_dag(20, seed=seed, stages=3)), np.random.default_rng(seed)
    graph.es["weight"] = (rng.random(graph.ecount()) ** 3).tolist()
    return graph


N_GRAPHS = 20


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graphs")
    for seed in range(N_GRAPHS):
        gt.write(trained(seed), folder / f"{seed:02}.graphml")
    return gt.report([folder], out=folder / "report.html")


def number(browser, name):
    return browser.evaluate(f"Number(document.getElementById('{name}').dataset.value)")


def shown(browser):
    """Return the state, and the numbers of nodes and edges, that the page shows."""
    return (
        browser.evaluate("document.getElementById('state').textContent"),
        number(browser, "n-nodes"),
        number(browser, "n-edges"),
    )


def thresholds(graph):
    """Return 0, weights of the graph, floats next to them, the last value that connects, and one that removes all."""
    weights, critical = sorted(set(graph.es["weight"])), gt.critical_threshold(graph)
    some = weights[:: len(weights) // 5]
    return [0.0, *some, *np.nextafter(some, 1).tolist(), critical, float(np.nextafter(critical, 1)), 1.0]


def test_the_slider_has_the_numbers_of_the_library(browser, page):
    browser.open(page)
    removed_nodes = disconnected = 0
    for seed in range(N_GRAPHS):
        browser.evaluate(f"graphtask.choose({seed})")
        graph = trained(seed)
        assert number(browser, "critical") == gt.critical_threshold(graph)
        for threshold in thresholds(graph):
            browser.evaluate(f"graphtask.setThreshold({threshold!r})")
            try:
                pruned = gt.prune(graph, threshold=threshold)
            except gt.errors.DisconnectedError:
                assert shown(browser) == ("input and output are disconnected", 0, 0)
                disconnected += 1
                continue
            assert shown(browser) == ("connected", pruned.vcount(), pruned.ecount())
            assert number(browser, "sparsity") == gt.measure(pruned)["sparsity"]
            removed_nodes += pruned.vcount() < graph.vcount()
    assert removed_nodes >= N_GRAPHS
    assert disconnected >= 2 * N_GRAPHS  # just above the critical threshold, and at 1
    assert browser.problems == []


NOTEBOOK = """<!DOCTYPE html><meta charset="utf-8"><link rel="icon" href="data:,"><body><div id="cell"></div>
<script>window.define = () => { throw Error("the page has its own loader"); }; window.define.amd = true;</script>
<script type="module">
import widget from "./widget.js";
const values = VALUES, followers = {};
window.model = {
  get: (name) => values[name], saved: 0,
  set: (name, value) => { values[name] = value; (followers[`change:${name}`] ?? []).forEach((call) => call()); },
  save_changes: () => { model.saved++; },
  on: (event, call) => { (followers[event] ??= []).push(call); }, off: () => {},
};
widget.render({ model, el: document.getElementById("cell") });
</script>"""


def test_the_widget_of_notebooks_is_the_same_explorer(browser, tmp_path):
    graph = trained(3)
    view = gt.view(graph, threshold=0.01)
    values = script_json({"graphs": [view.data], "threshold": 0.01})
    (tmp_path / "widget.js").write_text(widget_code(), encoding="utf-8")
    (tmp_path / "page.html").write_text(NOTEBOOK.replace("VALUES", values), encoding="utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path))  # modules need one
    Thread(target=server.serve_forever, daemon=True).start()
    browser.open(f"http://127.0.0.1:{server.server_port}/page.html")
    inside = "document.querySelector('#cell > div').shadowRoot.getElementById('{}')"
    edges = f"Number({inside.format('n-edges')}.dataset.value)"
    until = f"new Promise((done) => {{ const look = () => {edges} ? done({edges}) : setTimeout(look, 20); look(); }})"
    assert browser.evaluate(until) == gt.prune(graph, threshold=0.01).ecount()
    assert browser.evaluate("model.saved") == 0

    browser.evaluate("model.set('threshold', 0.05)")  # from Python
    assert browser.evaluate(edges) == gt.prune(graph, threshold=0.05).ecount()

    browser.evaluate(f"{inside.format('slider')}.focus()")  # in the browser
    browser.press("ArrowRight")
    threshold = browser.evaluate("model.get('threshold')")
    assert threshold == min(weight for weight in graph.es["weight"] if weight > 0.05)
    assert browser.evaluate(edges) == gt.prune(graph, threshold=threshold).ecount()
    assert browser.evaluate("model.saved") == 1
    server.shutdown()
    server.server_close()
    assert browser.problems == []
    server.shutdown()


def test_the_keyboard_moves_the_slider_the_picture_and_the_choice(browser, page):
    browser.open(page)
    browser.evaluate("document.getElementById('slider').focus()")
    before = number(browser, "tau")
    browser.press("ArrowRight", times=3)
    weights = sorted({0.0, 0.006, *trained(0).es["weight"]})
    assert number(browser, "tau") == weights[weights.index(before) + 3]
    browser.evaluate("document.getElementById('canvas').focus()")
    zoom = "document.getElementById('canvas')._cyreg.cy.zoom()"
    pan = "document.getElementById('canvas')._cyreg.cy.pan().x"
    first, start = browser.evaluate(zoom), browser.evaluate(pan)
    browser.press("ArrowLeft")
    assert browser.evaluate(pan) == pytest.approx(start + 40)
    browser.press("+")
    assert browser.evaluate(zoom) == pytest.approx(1.3 * first)
    browser.press("0")
    assert browser.evaluate(zoom) == pytest.approx(first)
    browser.evaluate("document.getElementById('theme').focus()")
    for _ in range(3):  # every control can be reached
        browser.press("Tab")
    assert browser.evaluate("document.activeElement.id") in {"graph", "second", "same-tau"}
    assert browser.problems == []


def test_two_graphs_are_compared_as_by_the_library(browser, page):
    browser.open(page)
    browser.evaluate("graphtask.choose(1); graphtask.setThreshold(0.01)")
    browser.evaluate(
        "(() => { const s = document.getElementById('second'); s.value = '4'; s.dispatchEvent(new Event('change')); })()"
    )
    found = gt.diff(trained(1), trained(4), threshold=0.01)
    cells = browser.evaluate(
        "Array.from(document.querySelectorAll('#difference td:last-child')).map((cell) => cell.textContent)"
    )
    assert list(map(int, cells[:3])) == list(found.edges.sizes)
    shown = browser.evaluate(
        "['only-a', 'only-b'].map((c) => document.getElementById('canvas')._cyreg.cy.edges('.' + c).length)"
    )
    assert shown == list(found.edges.sizes[1:])
    assert browser.problems == []


def test_hostile_names_are_text(browser, tmp_path):
    graph = gt.full_dag(4, stages=2)
    graph.vs["name"] = [f"{HOSTILE}{index}" for index in range(4)]
    gt.view(graph, out=tmp_path / "graph.html", title=HOSTILE)
    browser.open(tmp_path / "graph.html")
    browser.evaluate("document.getElementById('canvas')._cyreg.cy.nodes()[1].emit('tap'), 0")
    assert HOSTILE in browser.evaluate("document.getElementById('details').textContent")
    assert browser.evaluate("document.querySelectorAll('img').length") == 0
    assert browser.problems == []


@pytest.mark.parametrize(("width", "is_dark"), [(1200, False), (390, True)])
def test_the_page_fits_its_window_in_light_and_dark(browser, page, tmp_path, width, is_dark):
    browser.open(page, width=width, height=800, is_dark=is_dark)
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    color = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (color == "rgb(255, 255, 255)") != is_dark
    assert browser.screenshot(tmp_path / "page.png", whole=True).stat().st_size > 50_000
    assert browser.problems == []


def test_printed_pages_cut_no_table_and_show_the_whole_graph(browser, page):
    browser.open(page, width=720, height=1000, is_dark=True)
    browser.send("Emulation.setEmulatedMedia", media="print")
    assert browser.evaluate("document.querySelectorAll('.scroll').length") >= 2
    assert browser.evaluate("document.documentElement.scrollWidth") <= 720
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.evaluate("getComputedStyle(document.querySelector('.controls')).display") == "none"
    sizes = "['#canvas', '#canvas canvas'].map((name) => document.querySelector(name).clientHeight)"
    assert browser.evaluate(sizes) == [418, 418]


def test_an_animation_plays_and_steps(browser, tmp_path):
    graph = gt.full_dag(4)
    history = gt.EdgeHistory.record(gt.compile(graph, channels=1))
    for _ in range(3):
        history.step()
    run = gt.dynamics.Recording(gt.compiler.write_back(history._net, graph), history.history)
    browser.open(gt.animate(run, out=tmp_path / "run.html", dpi=40, fps=50))
    assert browser.evaluate("new Promise((done) => setTimeout(() => done(play.textContent), 1000))") == "play"
    assert browser.evaluate("document.getElementById('epoch-text').textContent") == "epoch 3"
    browser.press("ArrowLeft", times=2)
    assert browser.evaluate("document.getElementById('epoch-text').textContent") == "epoch 1"
    assert browser.problems == []
