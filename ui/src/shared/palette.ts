/** The tokens as a canvas needs them: the computed values of tokens.css. */

export const CANVAS_TOKENS = [
  "bg",
  "surface",
  "sunken",
  "line",
  "line2",
  "ink",
  "ink2",
  "ink3",
  "accent",
  "accent-bg",
  "error",
  "error-bg",
  "warn",
  "warn-bg",
  "async",
  "edge",
  "band",
] as const;

export type Palette = Readonly<Record<(typeof CANVAS_TOKENS)[number], string>>;

/** Call it again when the theme has changed. */
export function readPalette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const entries = CANVAS_TOKENS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]);
  return Object.fromEntries(entries) as Palette;
}

/** Makes a canvas sharp on this screen and returns its context, scaled to CSS pixels. */
export function sharpen(
  canvas: HTMLCanvasElement,
  width: number,
  height: number,
): CanvasRenderingContext2D | null {
  const ratio = devicePixelRatio || 1;
  const w = Math.max(1, Math.round(width * ratio));
  const h = Math.max(1, Math.round(height * ratio));
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const ctx = canvas.getContext("2d");
  ctx?.setTransform(ratio, 0, 0, ratio, 0, 0);
  return ctx;
}
