/** Which band a remembered place is in. Pure. */

import type { Kept } from "./boxes";
import type { Card, Graph } from "./graph";

/** The upper left corners of cards, by id. */
export type Points = Readonly<Record<string, { readonly x: number; readonly y: number }>>;

/**
 * The places with the band that each is in. A place is a point; the band is told by the line between
 * the two bands, which is where the fewest cards stand on the wrong side of it.
 */
export function withBands(points: Points, { cards }: Pick<Graph, "cards">): Record<string, Kept> {
  const placed = cards
    .flatMap((card: Card) => {
      const at = points[card.id];
      return at ? [{ id: card.id, band: card.band, ...at }] : [];
    })
    .sort((a, b) => a.y - b.y || (a.id < b.id ? -1 : 1));
  let wrong = placed.filter((p) => p.band === "sync").length;
  let best = { wrong, room: 0, count: 0 };
  placed.forEach((p, i) => {
    wrong += p.band === "sync" ? -1 : 1;
    const next = placed[i + 1];
    const room = next ? next.y - p.y : Number.POSITIVE_INFINITY;
    // Cards on one height are on one side; of two lines as good, the one with more room is it.
    if (room === 0 || wrong > best.wrong) return;
    if (wrong < best.wrong || room > best.room) best = { wrong, room, count: i + 1 };
  });
  return Object.fromEntries(
    placed.map(({ id, x, y }, i) => [id, { x, y, band: i < best.count ? "sync" : "later" }]),
  );
}
