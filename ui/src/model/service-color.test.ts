import { expect, test } from "vitest";
import { chooseSlot, fnv1a, SLOTS, slotColor } from "./service-color";

test("the hash is FNV-1a", () => {
  expect(fnv1a("")).toBe(0x811c9dc5);
  expect(fnv1a("a")).toBe(0xe40c292c);
  expect(fnv1a("foobar")).toBe(0xbf9cf968);
});

test("twenty services have twenty colours", () => {
  const used = new Array<number>(SLOTS).fill(0);
  for (let i = 0; i < SLOTS; i++) {
    const slot = chooseSlot(`service-${i}`, used);
    used[slot] = (used[slot] ?? 0) + 1;
  }
  expect(used).toEqual(new Array(SLOTS).fill(1));
});

test("no service may look like a fault", () => {
  for (let slot = 0; slot < SLOTS; slot++) {
    const hue = Number(slotColor(slot, "light").split(" ")[2]?.replace(")", ""));
    expect(hue).toBeGreaterThan(40);
  }
});
