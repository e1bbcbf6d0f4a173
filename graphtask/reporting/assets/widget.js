/* The explorer as a widget of notebooks; CSS and MARKUP are defined above. */
function render({ model, el }) {
  const host = document.createElement("div"), root = host.attachShadow({ mode: "open" });
  const theme = { true: "light", false: "dark" }[document.body.dataset.jpThemeLight];
  if (theme) host.dataset.theme = theme;
  host.dataset.lmSuppressShortcuts = "true"; /* JupyterLab: keys are those of the explorer */
  host.addEventListener("keydown", (event) => event.stopPropagation());
  root.innerHTML = `<style>${CSS}</style>${MARKUP}`;
  el.append(host);

  let explorer = null;
  const follow = () => { if (explorer) explorer.setThreshold(model.get("threshold")); };
  const report = (threshold) => {
    if (!explorer || threshold === model.get("threshold")) return;
    model.set("threshold", threshold);
    model.save_changes();
  };
  const start = () => { /* the picture needs the size of its place */
    if (explorer || !root.getElementById("canvas").clientWidth) return;
    explorer = graphtaskExplorer(root, structuredClone(model.get("graphs")), report);
    follow();
  };
  const observer = new ResizeObserver(start);
  observer.observe(host);
  model.on("change:threshold", follow);
  return () => { observer.disconnect(); model.off("change:threshold", follow); };
}
export default { render };
