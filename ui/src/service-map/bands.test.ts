import { expect, test } from "vitest";
import { withBands } from "./bands";
import type { Band, Card } from "./graph";

const cards = (bands: Record<string, Band>): Card[] =>
  Object.entries(bands).map(([id, band]) => ({ id, band }) as Card);
const bandsOf = (points: Record<string, number>, bands: Record<string, Band>) => {
  const placed = Object.fromEntries(Object.entries(points).map(([id, y]) => [id, { x: 0, y }]));
  return Object.fromEntries(
    Object.entries(withBands(placed, { cards: cards(bands) })).map(([id, k]) => [id, k.band]),
  );
};

test("a card is in the band that its height says", () => {
  const bands = { a: "sync", b: "sync", c: "later", d: "later" } as const;
  expect(bandsOf({ a: 0, b: 50, c: 400, d: 450 }, bands)).toEqual(bands);
});

test("one that changed its band stays where it stands", () => {
  const now = { a: "sync", b: "later", c: "sync", d: "later", e: "later" } as const;
  expect(bandsOf({ a: 0, b: 50, c: 60, d: 400, e: 450 }, now)).toEqual({
    a: "sync",
    b: "sync",
    c: "sync",
    d: "later",
    e: "later",
  });
});

test("a map of one band only, and cards without a place", () => {
  expect(bandsOf({ a: 10 }, { a: "later", b: "sync" })).toEqual({ a: "later" });
  expect(bandsOf({ a: 10, b: 10 }, { a: "sync", b: "sync" })).toEqual({ a: "sync", b: "sync" });
});
