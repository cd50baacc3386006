/** Which box of time and duration is looked at when the user has drawn none. Pure. */
import type { TraceSummary } from "../api/types";
import { unixMs } from "../model/units";
import type { Box } from "../search/chart";

/** Boxes that need no pointer, each a word of the page. */
export const BOXES = ["slowest", "slower", "latest"] as const;
export type BoxName = (typeof BOXES)[number];

interface Range {
  readonly from: number;
  readonly to: number;
}

/** Longer than any trace: a box without an upper end, 31 years. */
export const ENDLESS_NS = 1e18;
/** A twentieth of fewer traces says nothing. */
const LEAST = 20;

/**
 * The slowest twentieth, the slower half, or the last quarter of the range; `null` when the traces
 * are too few, or all alike, so that nothing would be outside.
 */
export function namedBox(name: BoxName, traces: readonly TraceSummary[], range: Range): Box | null {
  if (traces.length < LEAST) return null;
  if (name === "latest") {
    const from = Math.round(range.to - (range.to - range.from) / 4);
    const inside = traces.filter((t) => unixMs(t.startTimeUnixNano) >= from).length;
    const isPart = inside > 0 && inside < traces.length;
    return isPart ? { from, to: range.to, shortest: 0, longest: ENDLESS_NS } : null;
  }
  const sorted = traces.map((t) => t.durationNano).sort((a, b) => a - b);
  const share = name === "slowest" ? 0.95 : 0.5;
  const shortest = sorted[Math.floor(sorted.length * share)] ?? 0;
  if (shortest <= (sorted[0] ?? 0)) return null;
  return { from: range.from, to: range.to, shortest, longest: ENDLESS_NS };
}
