// Sets the theme before the first paint. A file of its own because the page allows no inline script.
// The same rule in TypeScript, tested: src/shared/theme.ts.
(() => {
  let chosen = new URLSearchParams(location.search).get("theme");
  try {
    chosen = chosen || localStorage.getItem("throughline.theme");
  } catch {
    // Storage may be forbidden; the system's own preference is a good answer then.
  }
  const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
