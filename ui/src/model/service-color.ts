/**
 * Which colour a service has: one of twenty slots, ten hues in two lightness steps.
 *
 * A service starts at the FNV-1a hash of its name and moves on only while a less used slot is free.
 * Hues 0 to 40 are absent, for red and amber mean health.
 */

const HUES = [258, 165, 85, 310, 210, 130, 345, 285, 60, 235] as const;
export const SLOTS = HUES.length * 2;

export type Theme = "light" | "dark";

const LIGHTNESS = { light: [0.6, 0.5], dark: [0.745, 0.645] } as const;
const CHROMA = { light: 0.14, dark: 0.125 } as const;

/** FNV-1a, 32 bit, over the UTF-8 bytes. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return hash;
}

/** The slot of a new name, given how many names each slot already has. */
export function chooseSlot(name: string, used: readonly number[]): number {
  const least = Math.min(...Array.from({ length: SLOTS }, (_, slot) => used[slot] ?? 0));
  let slot = fnv1a(name) % SLOTS;
  while ((used[slot] ?? 0) > least) slot = (slot + 1) % SLOTS;
  return slot;
}

/** A CSS colour, also good for a canvas. */
export function slotColor(slot: number, theme: Theme): string {
  return `oklch(${slotLightness(slot, theme)} ${CHROMA[theme]} ${HUES[slot % HUES.length]})`;
}

function slotLightness(slot: number, theme: Theme): number {
  return LIGHTNESS[theme][slot < HUES.length ? 0 : 1];
}
