/** Rows of what was rejected. Pure. */
import type { Rejected } from "../api/types";

/**
 * Gives every rejection a key of its own that stays while newer ones arrive above it, so that what a
 * person unfolded stays unfolded. Several may have come in the same nanosecond.
 */
export function keyed<R extends Pick<Rejected, "timeUnixNano">>(newestFirst: readonly R[]) {
  const seen = new Map<string, number>();
  return newestFirst
    .toReversed()
    .map((row) => {
      const count = seen.get(row.timeUnixNano) ?? 0;
      seen.set(row.timeUnixNano, count + 1);
      return { key: `${row.timeUnixNano}/${count}`, row };
    })
    .toReversed();
}
