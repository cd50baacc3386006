/**
 * Canvas text is out of reach for accessibility checkers, so its contrast is computed here, from the
 * very file the page uses. Rule: WCAG 2.2, 1.4.3 (text, 4.5) and 1.4.11 (graphics, 3).
 */
import { expect, test } from "vitest";
import { SLOTS, slotColor, type Theme } from "../model/service-color";
import css from "./tokens.css?raw";

type Rgb = [number, number, number];

/** The tokens of one theme; the dark one overrides the light one. */
function tokens(theme: Theme): Map<string, Rgb> {
  const [light = "", dark = ""] = css.split(':root[data-theme="dark"]');
  const found = new Map<string, Rgb>();
  for (const block of theme === "dark" ? [light, dark] : [light]) {
    for (const [, name, color] of block.matchAll(/--([\w-]+):\s*(oklch\([^)/]+\))/g)) {
      found.set(name as string, linear(color as string));
    }
  }
  return found;
}

/** oklch to linear sRGB, cut to the gamut. Rule: CSS Color 4, sample code. */
function linear(color: string): Rgb {
  const [l = 0, c = 0, h = 0] = color.replace("oklch(", "").split(" ").map(Number.parseFloat);
  const a = c * Math.cos((h * Math.PI) / 180);
  const b = c * Math.sin((h * Math.PI) / 180);
  const L = (l + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const M = (l - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const S = (l - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * L - 3.3077115913 * M + 0.2309699292 * S,
    -1.2684380046 * L + 2.6097574011 * M - 0.3413193965 * S,
    -0.0041960863 * L - 0.7034186147 * M + 1.707614701 * S,
  ].map((v) => Math.min(1, Math.max(0, v))) as Rgb;
}

function contrast(one: Rgb, two: Rgb): number {
  const luminance = ([r, g, b]: Rgb) => 0.2126 * r + 0.7152 * g + 0.0722 * b;
  const [low = 0, high = 0] = [luminance(one), luminance(two)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/** Text on ground, as trace/draw.ts and the cards use them. */
const TEXT: readonly [string, readonly string[]][] = [
  ["ink", ["surface", "accent-bg", "warn-bg", "error-bg", "sunken", "raised", "bg"]],
  ["ink2", ["surface", "accent-bg", "warn-bg", "error-bg", "sunken", "raised", "bg", "band"]],
  ["ink3", ["surface", "accent-bg", "sunken", "raised", "bg"]],
  ["error", ["surface", "error-bg", "accent-bg", "warn-bg", "raised", "sunken"]],
  ["warn", ["surface", "raised", "warn-bg", "sunken"]],
  ["accent", ["surface", "accent-bg", "raised", "bg"]],
  ["on-accent", ["accent"]],
  ["async", ["raised", "surface"]],
  ["ok", ["surface"]],
];

/** Strokes that carry meaning. A plain edge carries none that the table does not. */
const GRAPHICS: readonly [string, readonly string[]][] = [
  ["async", ["band", "bg", "surface"]],
  ["error", ["band", "bg", "surface", "error-bg"]],
  ["warn", ["band", "bg", "surface"]],
  ["ink", ["surface", "error-bg", "accent-bg"]],
];

for (const theme of ["light", "dark"] as const) {
  const known = tokens(theme);
  const check = (front: string, ground: string, least: number) => {
    const [a, b] = [known.get(front), known.get(ground)];
    expect(a && b, `${front} or ${ground} is no token`).toBeTruthy();
    const found = contrast(a as Rgb, b as Rgb);
    expect(found, `${front} on ${ground}: ${found.toFixed(2)}`).toBeGreaterThanOrEqual(least);
  };

  test(`text is legible on every ground it is drawn on, ${theme}`, () => {
    for (const [front, grounds] of TEXT) for (const ground of grounds) check(front, ground, 4.5);
  });

  test(`lines that mean something are seen, ${theme}`, () => {
    for (const [front, grounds] of GRAPHICS) for (const ground of grounds) check(front, ground, 3);
  });

  test(`bars of every service are seen on the rows, ${theme}`, () => {
    for (let slot = 0; slot < SLOTS; slot++) {
      const found = contrast(linear(slotColor(slot, theme)), known.get("surface") as Rgb);
      expect(found, `slot ${slot}: ${found.toFixed(2)}`).toBeGreaterThanOrEqual(3);
    }
  });
}

test("the computation knows black from white", () => {
  expect(contrast(linear("oklch(0 0 0)"), linear("oklch(1 0 0)"))).toBeCloseTo(21, 1);
});
