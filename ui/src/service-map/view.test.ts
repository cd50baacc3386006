import { expect, test } from "vitest";
import { broughtIn, fitted, zoomedAt } from "./view";

const size = { width: 1000, height: 500 };
const inset = { top: 0, right: 0, bottom: 0, left: 0 };

test("everything is seen, in the middle, and never larger than life", () => {
  const wide = fitted([{ x: 0, y: 0, width: 2000, height: 100 }], size, inset, 0);
  expect(wide).toEqual({ k: 0.5, x: 0, y: 225 });
  expect(fitted([{ x: 0, y: 0, width: 10, height: 10 }], size, inset, 0)?.k).toBe(1.1);
  expect(fitted([], size, inset, 0)).toBeNull();
});

test("a phone sees the corner rather than everything too small", () => {
  const part = fitted([{ x: 100, y: 50, width: 9000, height: 9000 }], size, inset, 0, 0.45);
  expect(part).toEqual({ k: 0.45, x: -45, y: -22.5 });
});

test("zooming keeps the point under the pointer", () => {
  const view = zoomedAt({ x: 10, y: 20, k: 1 }, 110, 220, 2);
  expect([(110 - view.x) / view.k, (220 - view.y) / view.k]).toEqual([100, 200]);
});

test("a card outside is brought in, one inside moves nothing", () => {
  const view = { x: 0, y: 0, k: 1 };
  expect(broughtIn(view, { x: 990, y: 10, width: 100, height: 40 }, size, inset)).toEqual({
    k: 1,
    x: -90,
    y: 0,
  });
  expect(broughtIn(view, { x: 10, y: 10, width: 100, height: 40 }, size, inset)).toBe(view);
});
