/* The explorer of a page. */
window.graphtask = graphtaskExplorer(document, JSON.parse(document.getElementById("graph-data").textContent));
