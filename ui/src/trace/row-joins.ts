/** Which rows of a trace sent or took a message, and what says so. Pure. */
import type { Join, Journey } from "../api/types";
import { type Stroke, strokeOf } from "../journey/say";
import type { TraceId } from "../model/ids";
import { rowOf, type TraceTree } from "./tree";

export interface RowJoin {
  readonly arrives: boolean;
  readonly leaves: boolean;
  /** The class of the weakest of its messages, and how that is drawn. */
  readonly joinClass: string;
  readonly stroke: Stroke;
  readonly messages: number;
}

/** The messages of each row. A row with several is as certain as the least certain of them. */
export function rowJoins(
  tree: TraceTree,
  trace: TraceId,
  journey: Journey | null,
): ReadonlyMap<number, RowJoin> {
  const found = new Map<number, RowJoin>();
  const put = (span: string, join: Join, arrives: boolean) => {
    const row = rowOf(tree, span);
    if (row < 0) return;
    const before = found.get(row);
    const joinClass = before && before.joinClass > join.class ? before.joinClass : join.class;
    found.set(row, {
      arrives: arrives || (before?.arrives ?? false),
      leaves: !arrives || (before?.leaves ?? false),
      joinClass,
      stroke: strokeOf(joinClass),
      messages: (before?.messages ?? 0) + 1,
    });
  };
  for (const join of journey?.joins ?? []) {
    if (join.toTraceId === trace) put(join.toSpanId, join, true);
    if (join.fromTraceId === trace) put(join.fromSpanId, join, false);
  }
  return found;
}
