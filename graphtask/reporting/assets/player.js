/* Player of an animation: frames as images, a slider, and a button; space plays, arrows step. */
(() => {
  "use strict";
  const { frames, epochs, seconds } = JSON.parse(document.getElementById("frames").textContent);
  const byId = (id) => document.getElementById(id);
  const image = byId("frame"), slider = byId("epoch"), button = byId("play"), text = byId("epoch-text");
  let place = 0, timer = null;

  function show(next) {
    place = Math.max(0, Math.min(frames.length - 1, next));
    image.src = `data:image/png;base64,${frames[place]}`;
    image.alt = `the graph after epoch ${epochs[place]}`;
    slider.value = String(place);
    text.textContent = `epoch ${epochs[place]}`;
  }
  function stop() { clearInterval(timer); timer = null; button.textContent = "play"; }
  function play() {
    if (place === frames.length - 1) show(0);
    button.textContent = "pause";
    timer = setInterval(() => { if (place === frames.length - 1) stop(); else show(place + 1); }, 1000 * seconds);
  }
  const toggle = () => (timer === null ? play() : stop());

  slider.max = String(frames.length - 1);
  slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
  button.addEventListener("click", toggle);
  document.addEventListener("keydown", (event) => {
    if (event.target === slider || event.target === button) return;
    if (event.key === " ") { toggle(); event.preventDefault(); }
    if (event.key === "ArrowRight") { stop(); show(place + 1); }
    if (event.key === "ArrowLeft") { stop(); show(place - 1); }
  });
  show(0);
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play();
})();
