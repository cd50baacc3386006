/** Saves a trace as one HTML file on the user's machine. The writer of the file comes when it is wanted. */
import { traceOtlp } from "../api/client";
import { formatCount, formatDateTime, unixMs } from "../model/units";
import { t } from "../shared/messages";
import { serviceSlot, settings } from "../shared/settings.svelte";
import type { TraceState } from "./state.svelte";

export async function saveHtml(trace: TraceState): Promise<void> {
  const { EXPORT_ROWS_MAX, traceHtml } = await import("./export-html");
  const { view } = trace.tree;
  const whole = trace.isWholeKept
    ? await traceOtlp(trace.id, new AbortController().signal).catch(() => null)
    : null;
  const html = traceHtml({
    tree: trace.tree,
    whole,
    title: `${view.rootService} ${view.rootName || t("trace.noRoot")}`,
    started: formatDateTime(unixMs(view.startUnixNano), settings.zone),
    slot: serviceSlot,
    words: {
      column: t("trace.column"),
      attributes: t("span.attributes"),
      resource: t("span.resource"),
      events: t("span.events"),
      links: t("span.links"),
      missing: t("trace.missing.row"),
      error: t("error"),
      made: t(whole ? "trace.html.made" : "trace.html.bare"),
      cut: t("trace.html.cut", { n: formatCount(EXPORT_ROWS_MAX) }),
      spans: t("trace.spans"),
      services: t("trace.services"),
      errors: t("trace.html.errors"),
    },
  });
  const url = URL.createObjectURL(new Blob([html], { type: "text/html" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `trace-${trace.id}.html`;
  link.click();
  // The browser reads it before the next minute; then its memory is free again.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
