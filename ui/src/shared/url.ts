/**
 * The URL as state: one codec per key. Pure; `router.svelte.ts` is the part that touches the browser.
 *
 * Keys that the page does not know are kept, for a link may come from a newer version.
 */
import type { Zone } from "../model/units";

/** Reads and writes the value of one key. A value equal to `fallback` leaves the URL. */
export interface Codec<T> {
  readonly fallback: T;
  parse(text: string): T;
  format(value: T): string;
}

const text = (fallback = ""): Codec<string> => ({ fallback, parse: (s) => s, format: (s) => s });

const maybe = (): Codec<string | null> => ({
  fallback: null,
  parse: (s) => (s === "" ? null : s),
  format: (s) => s ?? "",
});

const flag: Codec<boolean> = {
  fallback: false,
  parse: (s) => s === "1" || s === "true",
  format: (on) => (on ? "1" : "0"),
};

/** Shown unless the user hides it. */
const on: Codec<boolean> = {
  fallback: true,
  parse: (s) => s !== "0",
  format: (value) => (value ? "1" : "0"),
};

function oneOf<const T extends string>(values: readonly T[], fallback: NoInfer<T>): Codec<T> {
  return {
    fallback,
    parse: (s) => values.find((v) => v === s) ?? fallback,
    format: (value) => value,
  };
}

/** Relative (`-1h`) or absolute (milliseconds since the epoch); anything else is the fallback. */
function moment(fallback: string): Codec<string> {
  return {
    fallback,
    parse: (s) => (/^(?:-\d+[smhd]|now|\d{1,16})$/.test(s) ? s : fallback),
    format: (s) => s,
  };
}

/** How the map is grouped: `auto`, `none`, `prefix`, or by an attribute's key. */
const grouping: Codec<string> = {
  fallback: "auto",
  parse: (s) => s || "auto",
  format: (s) => s,
};

/** A part of the whole, as two shares in order: `0.2,0.6`. */
const span: Codec<readonly [number, number]> = {
  fallback: [0, 1],
  parse: (s) => {
    const [from, to] = s.split(",").map(Number);
    const valid = from !== undefined && to !== undefined && from >= 0 && to <= 1 && from < to;
    return valid ? [from, to] : [0, 1];
  },
  format: ([from, to]) => `${round4(from)},${round4(to)}`,
};

const round4 = (n: number) => Number(n.toFixed(4));

/** Every key the page knows. */
export const KEYS = {
  env: maybe(),
  from: moment("-1h"),
  to: moment("now"),
  tz: maybe() as Codec<Zone | null>,
  theme: maybe() as Codec<"light" | "dark" | null>,
  focus: maybe(),
  edge: maybe(),
  hops: oneOf(["1", "2", "3", "all"], "2"),
  colour: oneOf(["health", "latency", "traffic"], "health"),
  cmp: oneOf(["", "-1h", "-24h", "-7d"], ""),
  group: grouping,
  view: maybe(),
  q: text(),
  lang: oneOf(["native", "xray"], "native"),
  sort: oneOf(["-start", "-duration"], "-start"),
  live: flag,
  box: maybe(),
  op: maybe(),
  s: maybe(),
  sub: maybe(),
  errors: flag,
  by: maybe(),
  sel: maybe(),
  metric: oneOf(["p50", "p95", "p99"], "p95"),
  break: maybe(),
  find: text(),
  match: oneOf(["highlight", "filter"], "highlight"),
  z: span,
  critical: on,
  join: maybe(),
  scale: oneOf(["short", "true"], "short"),
  guesses: flag,
  finding: maybe(),
  pick: maybe(),
  diff: flag,
  wait: oneOf(["any", "100ms", "1s", "10s", "1m"], "any"),
  x: text(),
} as const;

export type Key = keyof typeof KEYS;
export type Value<K extends Key> = (typeof KEYS)[K] extends Codec<infer T> ? T : never;
export type Changes = { [K in Key]?: Value<K> };

/** Keys that belong to one screen. They stay behind when the screen changes; all others travel. */
const SCREEN_KEYS: readonly Key[] = [
  "focus",
  "edge",
  "cmp",
  "break",
  "view",
  "q",
  "sort",
  "live",
  "box",
  "op",
  "s",
  "sub",
  "errors",
  "by",
  "sel",
  "metric",
  "find",
  "match",
  "z",
  "critical",
  "join",
  "scale",
  "guesses",
  "finding",
  "pick",
  "diff",
  "wait",
  "x",
];

/** The value of `key`, or its fallback when it is absent or unreadable. */
export function read<K extends Key>(search: URLSearchParams, key: K): Value<K> {
  const codec = KEYS[key] as unknown as Codec<Value<K>>;
  const raw = search.get(key);
  return raw === null ? codec.fallback : codec.parse(raw);
}

/** A copy of `search` with `changes` applied; values equal to their fallback are left out. */
export function patch(search: URLSearchParams, changes: Changes): URLSearchParams {
  const next = new URLSearchParams(search);
  for (const key of Object.keys(changes) as Key[]) {
    const codec = KEYS[key] as unknown as Codec<unknown>;
    const value = changes[key] ?? codec.fallback;
    const formatted = codec.format(value);
    if (formatted === codec.format(codec.fallback)) next.delete(key);
    else next.set(key, formatted);
  }
  return next;
}

/** What remains of the query when another screen opens. */
export function travelling(search: URLSearchParams): URLSearchParams {
  const next = new URLSearchParams(search);
  for (const key of SCREEN_KEYS) next.delete(key);
  return next;
}

/** `?a=1` or nothing; commas and slashes stay readable, as they mean nothing in a query. */
export function queryText(search: URLSearchParams): string {
  const encoded = search.toString().replace(/%2C/g, ",").replace(/%2F/g, "/").replace(/%3A/g, ":");
  return encoded === "" ? "" : `?${encoded}`;
}

/** The screens, by their path under the base. */
export type Route =
  | { screen: "home" | "map" | "traces" | "journeys" | "explore" | "doctor" | "setup" | "go" }
  | { screen: "trace"; id: string }
  | { screen: "journey"; id: string }
  | { screen: "compare"; a: string; b: string }
  | { screen: "service"; name: string }
  | { screen: "edge"; from: string; to: string }
  | { screen: "unknown"; path: string };

export function parseRoute(path: string): Route {
  const [first = "", second = "", ...rest] = path.split("/").filter((p) => p !== "");
  if (first === "") return { screen: "home" };
  if (first === "t" && second !== "" && rest.length === 0) {
    return { screen: "trace", id: decoded(second) };
  }
  // The short form is for typing and for links in texts.
  if ((first === "journeys" || first === "j") && second !== "" && rest.length === 0) {
    return { screen: "journey", id: decoded(second) };
  }
  if (first === "compare" && second !== "" && rest[0] !== undefined && rest.length === 1) {
    return { screen: "compare", a: decoded(second), b: decoded(rest[0]) };
  }
  if (first === "services" && second !== "" && rest.length === 0) {
    return { screen: "service", name: decoded(second) };
  }
  if (first === "edges" && second !== "" && rest[0] !== undefined && rest.length === 1) {
    return { screen: "edge", from: decoded(second), to: decoded(rest[0]) };
  }
  const plain = (["map", "traces", "journeys", "explore", "doctor", "setup", "go"] as const).find(
    (s) => s === first,
  );
  return plain && second === "" ? { screen: plain } : { screen: "unknown", path };
}

/** A segment of the path as text; one that is wrongly encoded stays as it is. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** A moment of the URL as the API wants it: milliseconds become nanoseconds. */
export function apiMoment(moment: string): string {
  return /^\d+$/.test(moment) ? `${moment}000000` : moment;
}

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A moment of the URL in milliseconds since the epoch. */
export function momentMs(moment: string, nowMs: number): number {
  if (/^\d+$/.test(moment)) return Number(moment);
  const relative = /^-(\d+)([smhd])$/.exec(moment);
  if (!relative) return nowMs;
  return nowMs - Number(relative[1]) * UNIT_MS[relative[2] as keyof typeof UNIT_MS];
}
