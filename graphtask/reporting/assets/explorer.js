/* Interactive graphs: threshold, dead paths, hover, difference of two graphs.
   `root` is the document of a page or the shadow root of a widget; `onThreshold`, if given, receives every new threshold. */
const graphtaskExplorer = (root, GRAPHS, onThreshold) => {
  "use strict";
  const byId = (id) => root.getElementById(id);

  const { prepare, prune, critical, sparsity, pathsThrough, score } = graphtaskRules;

  for (const graph of GRAPHS) {
    prepare(graph);
    if (graph.history) graph.history.bytes = Uint8Array.from(atob(graph.history.values), (c) => c.charCodeAt(0));
  }

  /* ---- the picture ---- */

  const css = (name) => getComputedStyle(root.host || document.documentElement).getPropertyValue(name).trim();
  const PALETTE = ["#440154", "#31688e", "#35b779", "#b5a300", "#d95f02", "#7570b3", "#e7298a", "#666666"];
  let current = 0, cy = null, found = null, through = null, other = -1;

  function elements(graph) {
    const width = 900, height = 480;
    const nodes = graph.nodes.map((name, v) => ({
      data: { id: `n${v}`, place: v, label: v === graph.input ? "input" : v === graph.output ? "output" : "",
              color: PALETTE[graph.stage[v] % PALETTE.length] },
      position: { x: graph.x[v] * width, y: graph.y[v] * height },
    }));
    const edges = graph.source.map((s, e) => ({
      data: { id: `e${e}`, place: e, source: `n${s}`, target: `n${graph.target[e]}`,
              width: graph.weight ? 0.6 + 3.4 * Math.sqrt(graph.weight[e]) : 1.4 },
    }));
    return [...nodes, ...edges, ...(other >= 0 ? missing(graph, GRAPHS[other], width, height) : [])];
  }

  const key = (graph, e) => JSON.stringify([graph.nodes[graph.source[e]], graph.nodes[graph.target[e]]]);

  /* Nodes and edges that only the second graph has; their place is -1. */
  function missing(first, second, width, height) {
    const place = new Map(first.nodes.map((name, v) => [name, `n${v}`]));
    const known = new Set(first.source.map((_, e) => key(first, e)));
    const nodes = second.nodes.flatMap((name, v) => {
      if (place.has(name)) return [];
      place.set(name, `m${v}`);
      return [{ data: { id: `m${v}`, place: -1, label: "", name, color: PALETTE[second.stage[v] % PALETTE.length] },
                position: { x: second.x[v] * width, y: second.y[v] * height }, classes: "extra" }];
    });
    const edges = second.source.flatMap((s, e) => known.has(key(second, e)) ? [] : [{
      data: { id: `f${e}`, place: -1, key: key(second, e), source: place.get(second.nodes[s]),
              target: place.get(second.nodes[second.target[e]]), width: second.weight ? 0.6 + 3.4 * Math.sqrt(second.weight[e]) : 1.4 },
      classes: "hidden" }]);
    return [...nodes, ...edges];
  }

  function style() {
    const ink = css("--ink"), faint = css("--faint"), paper = css("--paper");
    return [
      { selector: "node", style: { width: 15, height: 15, "background-color": "data(color)", "border-width": 1.5,
        "border-color": paper, label: "data(label)", "font-size": 12, color: ink, "text-valign": "top",
        "text-margin-y": -5, "text-outline-color": paper, "text-outline-width": 2 } },
      { selector: "edge", style: { width: "data(width)", "line-color": css("--edge"), "target-arrow-color": css("--edge"),
        "target-arrow-shape": "triangle", "arrow-scale": 0.7, "curve-style": "bezier", opacity: 0.85 } },
      { selector: "edge.weak", style: { "line-color": faint, "target-arrow-color": faint, width: 0.5, opacity: 0.35, "target-arrow-shape": "none" } },
      { selector: "edge.dead", style: { "line-color": css("--dead"), "target-arrow-color": css("--dead"), "line-style": "dashed" } },
      { selector: "node.dead", style: { "background-color": paper, "border-color": faint, color: faint } },
      { selector: "node.extra", style: { shape: "diamond" } },
      { selector: "edge.hidden", style: { display: "none" } },
      { selector: "edge.only-a", style: { "line-color": css("--only-a"), "target-arrow-color": css("--only-a") } },
      { selector: "edge.only-b", style: { "line-color": css("--only-b"), "target-arrow-color": css("--only-b"), "line-style": "dashed" } },
      { selector: ".hover", style: { "border-color": css("--accent"), "line-color": css("--accent"),
        "target-arrow-color": css("--accent"), "z-index": 9 } },
    ];
  }

  function draw() {
    const graph = GRAPHS[current];
    if (cy) cy.destroy();
    cy = cytoscape({ container: byId("canvas"), elements: elements(graph), style: style(), layout: { name: "preset" },
      minZoom: 0.2, maxZoom: 8, autoungrabify: true, boxSelectionEnabled: false });
    cy.fit(undefined, 30);
    cy.on("mouseover tap", "node", (event) => describeNode(event.target));
    cy.on("mouseover tap", "edge", (event) => describeEdge(event.target));
    cy.on("mouseout", "node, edge", (event) => event.target.removeClass("hover"));
  }

  function update(threshold) {
    const graph = GRAPHS[current];
    found = prune(graph, threshold);
    through = pathsThrough(graph, found);
    const hide = byId("hide-weak").checked;
    cy.batch(() => {
      cy.edges().forEach((edge) => {
        const e = edge.data("place");
        if (e < 0) return;
        edge.removeClass("only-a only-b");
        edge.toggleClass("weak", !found.strong[e]);
        edge.toggleClass("hidden", hide && !found.strong[e]);
        edge.toggleClass("dead", Boolean(found.strong[e] && !found.alive[e]));
      });
      cy.nodes().forEach((node) => node.toggleClass("dead", node.data("place") >= 0 && !found.live[node.data("place")]));
    });
    fill(graph);
    if (other >= 0) difference();
  }

  /* ---- numbers ---- */

  const digits = (value, places = 4) => (value === null || Number.isNaN(value) ? "undefined" : Number(value.toFixed(places)).toString());

  function fill(graph) {
    const initial = graph.initial;
    const put = (id, text, raw) => { const cell = byId(id); cell.textContent = text; if (raw !== undefined) cell.dataset.value = String(raw); };
    const tau = found.threshold;
    put("tau", tau === 0 ? "0" : tau.toPrecision(4), tau);
    put("n-nodes", `${found.nodes} of ${graph.nodes.length}`, found.nodes);
    put("n-edges", `${found.edges} of ${graph.source.length}`, found.edges);
    const share = initial ? sparsity(found.edges, initial.edges) : NaN;
    put("sparsity", digits(share), share);
    put("critical", graph.critical === null ? "no weights" : graph.critical.toPrecision(6), graph.critical);
    put("state", found.connected ? "connected" : "input and output are disconnected");
    const tested = score(graph, found);
    put("score-name", `test ${graph.sweep ? graph.sweep.score : "score"}`);
    put("score", !found.connected ? "disconnected" : tested === null ? "no sweep" : tested === undefined ? "between tested thresholds" : tested.text,
        tested ? tested.value : "");
    const rows = byId("stages");
    rows.replaceChildren();
    for (let s = 0; s < graph.stages; s++) {
      const nodes = graph.stage.reduce((sum, stage, v) => sum + (stage === s && found.live[v] ? 1 : 0), 0);
      const before = initial && initial.edges_per_stage ? initial.edges_per_stage[s] : NaN;
      rows.append(row([`stage ${s}`, String(nodes), String(found.inside[s]), digits(sparsity(found.inside[s], before))]));
    }
  }

  function row(cells) {
    const line = document.createElement("tr");
    for (const text of cells) { const cell = document.createElement("td"); cell.textContent = text; line.append(cell); }
    return line;
  }

  function describeNode(node) {
    node.addClass("hover");
    const graph = GRAPHS[current], v = node.data("place");
    if (v < 0) { say([["node", node.data("name")], ["state", "only in the second graph"]]); return; }
    const alive = (list) => list.filter((e) => found.alive[e]).length;
    const count = through[v].toString();
    say([["node", graph.nodes[v]], ["stage", graph.stage[v]],
         ["in-degree", `${alive(graph.byTarget[v])} of ${graph.byTarget[v].length}`],
         ["out-degree", `${alive(graph.bySource[v])} of ${graph.bySource[v].length}`],
         ["paths through it", count.length > 15 ? `${count[0]}.${count.slice(1, 4)}e${count.length - 1}` : count]]);
  }

  function describeEdge(edge) {
    edge.addClass("hover");
    const graph = GRAPHS[current], e = edge.data("place");
    if (e < 0) { say([["edge", JSON.parse(edge.data("key")).join(" → ")], ["state", "only in the second graph"]]); return; }
    const state = found.alive[e] ? "kept" : found.strong[e] ? "on a dead path" : "below the threshold";
    const facts = [["edge", `${graph.nodes[graph.source[e]]} → ${graph.nodes[graph.target[e]]}`], ["state", state]];
    if (graph.weight) facts.push(["weight", graph.weight[e].toPrecision(6)]);
    say(facts, graph.history ? sparkline(graph, e) : null);
  }

  function say(facts, picture) {
    const box = byId("details");
    box.replaceChildren();
    for (const [key, value] of facts) {
      const term = document.createElement("dt"), text = document.createElement("dd");
      term.textContent = key; text.textContent = String(value);
      box.append(term, text);
    }
    if (picture) box.append(picture);
  }

  function sparkline(graph, e) {
    const m = graph.source.length, { epochs, bytes } = graph.history;
    const last = epochs[epochs.length - 1] || 1;
    const points = epochs.map((epoch, k) => `${(4 + 192 * epoch / last).toFixed(1)},${(46 - 42 * bytes[k * m + e] / 255).toFixed(1)}`);
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 200 62"); svg.setAttribute("class", "sparkline"); svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", "weight over epochs");
    const line = document.createElementNS(svg.namespaceURI, "polyline");
    line.setAttribute("points", points.join(" "));
    const text = document.createElementNS(svg.namespaceURI, "text");
    text.setAttribute("x", "4"); text.setAttribute("y", "60"); text.textContent = `weight (0 to 1) over ${last} epochs`;
    svg.append(line, text);
    return svg;
  }

  /* ---- threshold slider: one position per distinct weight, and 0 ---- */

  let grid = [0];
  function setGrid(graph) {
    const weights = graph.weight ? [...new Set(graph.weight)].sort((a, b) => a - b) : [];
    grid = [...new Set([0, ...weights, graph.threshold])].sort((a, b) => a - b);
    const slider = byId("slider");
    slider.max = String(grid.length - 1);
    slider.value = String(grid.indexOf(graph.threshold));
    slider.disabled = !graph.weight;
  }
  function setThreshold(threshold) {
    const graph = GRAPHS[current];
    byId("slider").value = String(Math.max(0, grid.findLastIndex((value) => value <= threshold)));
    graph.threshold = threshold;
    byId("typed").value = String(threshold);
    update(threshold);
    if (onThreshold) onThreshold(threshold);
  }

  /* ---- difference of two graphs ---- */

  function difference() {
    const a = GRAPHS[current], b = GRAPHS[other], inB = prune(b, byId("same-tau").checked ? found.threshold : b.threshold);
    const ofA = new Map(), ofB = new Set();
    a.source.forEach((_, e) => { if (found.alive[e]) ofA.set(key(a, e), e); });
    b.source.forEach((_, e) => { if (inB.alive[e]) ofB.add(key(b, e)); });
    const both = [...ofA.keys()].filter((edge) => ofB.has(edge)).length;
    const total = ofA.size + ofB.size;
    cy.batch(() => cy.edges().forEach((edge) => {
      const e = edge.data("place"), name = e < 0 ? edge.data("key") : key(a, e), here = ofA.has(name), there = ofB.has(name);
      edge.removeClass("only-a only-b weak dead hidden");
      edge.toggleClass("only-a", here && !there);
      edge.toggleClass("only-b", there && !here);
      edge.toggleClass("hidden", !here && !there);
    }));
    const rows = byId("difference");
    rows.replaceChildren(row(["kept in both", String(both)]), row(["only in the first", String(ofA.size - both)]),
      row(["only in the second", String(ofB.size - both)]), row(["Dice similarity", total ? digits(2 * both / total) : "undefined"]));
    rows.closest("table").hidden = false;
  }

  /* ---- controls ---- */

  function option(text, value) { const item = document.createElement("option"); item.textContent = text; item.value = String(value); return item; }
  function choose(index) {
    current = index;
    byId("graph").value = String(index);
    draw(); setGrid(GRAPHS[index]); setThreshold(GRAPHS[index].threshold);
  }
  const title = (graph) => (graph.label ? `${graph.label} · ${graph.name}` : graph.name);
  const select = byId("graph"), second = byId("second");
  GRAPHS.forEach((graph, index) => { select.append(option(title(graph), index)); second.append(option(title(graph), index)); });
  select.addEventListener("change", () => choose(Number(select.value)));
  second.addEventListener("change", () => {
    other = Number(second.value);
    if (other < 0) byId("difference").closest("table").hidden = true;
    draw();
    update(GRAPHS[current].threshold);
  });
  byId("same-tau").addEventListener("change", () => update(GRAPHS[current].threshold));
  byId("hide-weak").addEventListener("change", () => update(GRAPHS[current].threshold));
  byId("slider").addEventListener("input", (event) => setThreshold(grid[Number(event.target.value)]));
  byId("typed").addEventListener("change", (event) => {
    const value = Number(event.target.value);
    if (Number.isFinite(value) && value >= 0) setThreshold(value); else event.target.value = String(GRAPHS[current].threshold);
  });
  byId("zoom-in").addEventListener("click", () => cy.zoom({ level: cy.zoom() * 1.3, renderedPosition: { x: cy.width() / 2, y: cy.height() / 2 } }));
  byId("zoom-out").addEventListener("click", () => cy.zoom({ level: cy.zoom() / 1.3, renderedPosition: { x: cy.width() / 2, y: cy.height() / 2 } }));
  byId("fit").addEventListener("click", () => cy.fit(undefined, 30));
  byId("canvas").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
    if (step) { cy.panBy({ x: step[0], y: step[1] }); event.preventDefault(); }
    if (event.key === "+" || event.key === "=") byId("zoom-in").click();
    if (event.key === "-") byId("zoom-out").click();
    if (event.key === "0") byId("fit").click();
  });
  document.addEventListener("theme", () => cy.style(style()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => cy.style(style()));

  choose(0);
  return { graphs: GRAPHS, prune, critical, sparsity, choose, setThreshold, result: () => found };
};
