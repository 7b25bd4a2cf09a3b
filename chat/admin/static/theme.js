// Runs before the first paint: a stored choice, else what the system prefers.
"use strict";
(() => {
  let stored = null;
  try {
    stored = localStorage.getItem("hubbub-theme");
  } catch {
    // Storage may be switched off; the system's preference is a good answer too.
  }
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = stored === "dark" || stored === "light" ? stored : dark ? "dark" : "light";
})();
