import { expect, test } from "vitest";
import { apiMoment, momentMs, parseRoute, patch, queryText, read, travelling } from "./url";

const params = (text: string) => new URLSearchParams(text);

test("absent and unreadable values are the fallback", () => {
  expect(read(params(""), "from")).toBe("-1h");
  expect(read(params("from=yesterday"), "from")).toBe("-1h");
  expect(read(params("from=1795262651482"), "from")).toBe("1795262651482");
  expect(read(params("sort=name"), "sort")).toBe("-start");
  expect(read(params("z=0.6,0.2"), "z")).toEqual([0, 1]);
  expect(read(params("env="), "env")).toBeNull();
});

test("unknown keys are kept, fallbacks leave", () => {
  const next = patch(params("later=2&env=production&from=-6h"), { from: "-1h", q: "a = 1" });
  expect(queryText(next)).toBe("?later=2&env=production&q=a+%3D+1");
});

test("every value survives the way into the URL and back", () => {
  const next = patch(params(""), {
    env: "prod & test",
    from: "-15m",
    q: 'service = "a,b/c" and x != "+"',
    z: [0.25, 0.5],
    critical: false,
    match: "filter",
    s: "00f067aa0ba902b7",
  });
  const back = params(queryText(next));
  expect(read(back, "env")).toBe("prod & test");
  expect(read(back, "from")).toBe("-15m");
  expect(read(back, "q")).toBe('service = "a,b/c" and x != "+"');
  expect(read(back, "z")).toEqual([0.25, 0.5]);
  expect(read(back, "critical")).toBe(false);
  expect(read(back, "match")).toBe("filter");
  expect(read(back, "s")).toBe("00f067aa0ba902b7");
});

test("a change of screen keeps the scope and what it does not know", () => {
  const next = travelling(
    params("env=production&from=-6h&q=x&focus=a&later=2&theme=dark&break=k&sel=x&pick=a"),
  );
  expect(queryText(next)).toBe("?env=production&from=-6h&later=2&theme=dark");
});

test("the language of queries travels, so that it need not be chosen again", () => {
  expect(read(params("lang=sql"), "lang")).toBe("native");
  expect(queryText(travelling(params("lang=xray&q=fault")))).toBe("?lang=xray");
});

test("paths name screens", () => {
  expect(parseRoute("/")).toEqual({ screen: "home" });
  expect(parseRoute("/map")).toEqual({ screen: "map" });
  expect(parseRoute("/journeys")).toEqual({ screen: "journeys" });
  expect(parseRoute("/journeys/abc")).toEqual({ screen: "journey", id: "abc" });
  expect(parseRoute("/j/abc")).toEqual({ screen: "journey", id: "abc" });
  expect(parseRoute("/edges/a%2Fb/c")).toEqual({ screen: "edge", from: "a/b", to: "c" });
  expect(parseRoute("/edges/a")).toEqual({ screen: "unknown", path: "/edges/a" });
  expect(parseRoute("/t/abc")).toEqual({ screen: "trace", id: "abc" });
  expect(parseRoute("/services/a%2Fb")).toEqual({ screen: "service", name: "a/b" });
  expect(parseRoute("/services/50%")).toEqual({ screen: "service", name: "50%" });
  expect(parseRoute("/compare/abc/def")).toEqual({ screen: "compare", a: "abc", b: "def" });
  expect(parseRoute("/compare/abc")).toEqual({ screen: "unknown", path: "/compare/abc" });
  expect(parseRoute("/explore")).toEqual({ screen: "explore" });
  expect(parseRoute("/flame")).toEqual({ screen: "unknown", path: "/flame" });
});

test("moments are said in the API's and in the page's unit", () => {
  expect(apiMoment("-1h")).toBe("-1h");
  expect(apiMoment("1795262651482")).toBe("1795262651482000000");
  expect(momentMs("-15m", 1_000_000)).toBe(100_000);
  expect(momentMs("now", 5)).toBe(5);
});
