import type { TraceSummary } from "../api/types";

/** The trace in the middle by duration; of an even number, the shorter of the two. */
export function medianOf(traces: readonly TraceSummary[]): TraceSummary | null {
  const sorted = [...traces].sort((a, b) => a.durationNano - b.durationNano);
  return sorted[(sorted.length - 1) >> 1] ?? null;
}
