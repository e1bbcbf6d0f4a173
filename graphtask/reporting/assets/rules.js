/* The rules of graphtask.prune, graphtask.critical_threshold and the metric sparsity, in JavaScript; no page needed. */
const graphtaskRules = (() => {
  "use strict";

  function prepare(graph) {
    const n = graph.nodes.length, m = graph.source.length;
    const indegree = new Array(n).fill(0), outdegree = new Array(n).fill(0);
    for (let e = 0; e < m; e++) { outdegree[graph.source[e]]++; indegree[graph.target[e]]++; }
    graph.input = indegree.findIndex((d) => d === 0);
    graph.output = outdegree.findIndex((d) => d === 0);
    graph.byTarget = Array.from({ length: n }, () => []);
    graph.bySource = Array.from({ length: n }, () => []);
    for (let e = 0; e < m; e++) { graph.byTarget[graph.target[e]].push(e); graph.bySource[graph.source[e]].push(e); }
    graph.stages = Math.max(...graph.stage) + 1;
    graph.critical = critical(graph);
  }

  /* Nodes are in topological order: one pass forward, one backward. */
  function prune(graph, threshold) {
    const n = graph.nodes.length, m = graph.source.length, w = graph.weight;
    const strong = new Uint8Array(m), alive = new Uint8Array(m);
    const forward = new Uint8Array(n), backward = new Uint8Array(n);
    for (let e = 0; e < m; e++) strong[e] = !w || w[e] >= threshold ? 1 : 0;
    forward[graph.input] = 1;
    for (let v = 0; v < n; v++)
      if (forward[v]) for (const e of graph.bySource[v]) if (strong[e]) forward[graph.target[e]] = 1;
    backward[graph.output] = 1;
    for (let v = n - 1; v >= 0; v--)
      if (backward[v]) for (const e of graph.byTarget[v]) if (strong[e]) backward[graph.source[e]] = 1;
    const connected = Boolean(forward[graph.output]);
    const live = new Uint8Array(n);
    let nodes = 0, edges = 0;
    const inside = new Array(graph.stages).fill(0);
    if (connected) {
      for (let v = 0; v < n; v++) if (forward[v] && backward[v]) { live[v] = 1; nodes++; }
      for (let e = 0; e < m; e++)
        if (strong[e] && live[graph.source[e]] && live[graph.target[e]]) {
          alive[e] = 1; edges++;
          if (graph.stage[graph.source[e]] === graph.stage[graph.target[e]]) inside[graph.stage[graph.source[e]]]++;
        }
    }
    return { threshold, connected, strong, alive, live, nodes, edges, inside };
  }

  function critical(graph) {
    if (!graph.weight) return null;
    const best = new Array(graph.nodes.length).fill(-1);
    best[graph.input] = Infinity;
    for (let v = 0; v < best.length; v++)
      for (const e of graph.byTarget[v]) best[v] = Math.max(best[v], Math.min(best[graph.source[e]], graph.weight[e]));
    return best[graph.output];
  }

  function sparsity(now, before) { return before > 0 ? (before - now) / before : NaN; }

  /* Number of input-output paths through each node, exact. */
  function pathsThrough(graph, found) {
    const n = graph.nodes.length, from = new Array(n).fill(0n), to = new Array(n).fill(0n);
    from[graph.input] = 1n; to[graph.output] = 1n;
    for (let v = 0; v < n; v++) for (const e of graph.bySource[v]) if (found.alive[e]) from[graph.target[e]] += from[v];
    for (let v = n - 1; v >= 0; v--) for (const e of graph.byTarget[v]) if (found.alive[e]) to[graph.source[e]] += to[v];
    return from.map((count, v) => count * to[v]);
  }

  /* The sweep tested each set of surviving edges once; sets are nested, so their size identifies them. */
  function score(graph, found) {
    if (!graph.sweep || !found.connected) return null;
    const place = graph.sweep.edges.indexOf(found.edges);
    return place < 0 ? undefined : { value: graph.sweep.values[place], text: graph.sweep.texts[place] };
  }

  return { prepare, prune, critical, sparsity, pathsThrough, score };
})();
