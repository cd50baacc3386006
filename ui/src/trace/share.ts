/** What is taken out of a trace to be shown to others. */
import { formatCount, formatDuration } from "../model/units";
import { router } from "../shared/router.svelte";
import { momentMs } from "../shared/url";
import type { TraceState } from "./state.svelte";
import { durationOf, nameOf, serviceOf, spanIdOf } from "./tree";

/** The address of what is seen now, with times that do not move on. */
export function permanentLink(): string {
  const now = Date.now();
  const moment = (key: "from" | "to") => String(Math.round(momentMs(router.get(key), now)));
  return new URL(router.hrefHere({ from: moment("from"), to: moment("to") }), location.href).href;
}

/** The finding and the ids, as people paste them into a ticket. */
export function asMarkdown(trace: TraceState): string {
  const { tree, leaves, selected } = trace;
  const { view } = tree;
  const line = (row: number) =>
    `- \`${serviceOf(tree, row)}\` ${nameOf(tree, row)}, ${formatDuration(durationOf(tree, row))}` +
    `${view.spans.statusMessage[row] ? `: ${view.spans.statusMessage[row]}` : ""}` +
    ` (span \`${spanIdOf(tree, row)}\`)`;
  const failed =
    leaves.length > 0 ? ["", "Where it failed first:", ...leaves.slice(0, 5).map(line)] : [];
  const shown =
    selected < tree.spanCount && !leaves.slice(0, 5).includes(selected)
      ? ["", "Selected:", line(selected)]
      : [];
  return [
    `**${view.rootService} ${view.rootName}**: ${formatDuration(view.durationNano)}, ` +
      `${formatCount(view.spanCount)} spans, ${view.services.length} services, ` +
      `${formatCount(view.errorCount)} errors`,
    "",
    `Trace \`${trace.id}\` · ${permanentLink()}`,
    ...failed,
    ...shown,
  ].join("\n");
}
