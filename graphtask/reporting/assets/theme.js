/* The button that switches between light and dark. */
(() => {
  "use strict";
  document.getElementById("theme").addEventListener("click", () => {
    const dark = getComputedStyle(document.documentElement).colorScheme.startsWith("dark");
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    document.dispatchEvent(new Event("theme"));
  });
})();
