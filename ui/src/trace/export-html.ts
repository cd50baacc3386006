/**
 * A trace as one HTML file for people without access: waterfall and attributes, no script, no request.
 * Every span is a `details` element, so that it opens in any browser, and in print.
 *
 * Pure: what it needs is given. Every text of the trace is escaped, for it is untrusted.
 */
import type { OtlpAttribute, OtlpTrace } from "../api/types";
import { slotColor } from "../model/service-color";
import { formatCount, formatDuration, formatTick, tickStep } from "../model/units";
import {
  at,
  durationOf,
  isError,
  isPlaceholder,
  nameOf,
  serviceOf,
  spanIdOf,
  type TraceTree,
} from "./tree";
import { otlpText } from "./whole";

/** Rows of a file; more of them would not open in reasonable time. */
export const EXPORT_ROWS_MAX = 20_000;
const TEXT_MAX = 4_000;
const INDENT_MAX = 20;

/** The words of the file, in the reader's language. */
export interface ExportWords {
  readonly column: string;
  readonly attributes: string;
  readonly resource: string;
  readonly events: string;
  readonly links: string;
  readonly missing: string;
  readonly error: string;
  readonly made: string;
  readonly cut: string;
  readonly spans: string;
  readonly services: string;
  readonly errors: string;
}

export interface ExportInput {
  readonly tree: TraceTree;
  /** `null` when the trace is too large to have all its attributes. */
  readonly whole: OtlpTrace | null;
  readonly title: string;
  readonly started: string;
  /** The slot of the colour of a service. */
  readonly slot: (service: string) => number;
  readonly words: ExportWords;
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

interface Detail {
  readonly attributes: readonly OtlpAttribute[];
  readonly resource: readonly OtlpAttribute[];
  readonly events: readonly {
    name?: string;
    timeUnixNano?: string;
    attributes?: OtlpAttribute[];
  }[];
  readonly links: readonly { traceId: string; spanId: string }[];
}

/** The whole file as text. */
export function traceHtml(input: ExportInput): string {
  const { tree, words } = input;
  const { view } = tree;
  const details = detailsOf(input.whole);
  const rows = [...tree.preorder.subarray(0, EXPORT_ROWS_MAX)];
  const facts = [
    formatDuration(view.durationNano),
    `${formatCount(view.spanCount)} ${words.spans}`,
    `${formatCount(view.services.length)} ${words.services}`,
    ...(view.errorCount > 0 ? [`${formatCount(view.errorCount)} ${words.errors}`] : []),
    ...(view.environment ? [view.environment] : []),
    input.started,
  ];
  const step = tickStep(tree.total, 6);
  const ticks = Array.from(
    { length: Math.floor(tree.total / step) + 1 },
    (_, i) => i * step,
  ).filter((ns) => ns < tree.total * 0.95);
  const cut =
    tree.preorder.length > rows.length ? `<p class="note">${escapeHtml(words.cut)}</p>` : "";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(input.title)}</title>
<style>${STYLE}${serviceStyles(tree, input.slot)}</style>
</head>
<body>
<header>
<h1>${escapeHtml(input.title)}</h1>
<p>${facts.map((f) => `<span>${escapeHtml(f)}</span>`).join("")}</p>
<p><code>${escapeHtml(view.traceId)}</code></p>
</header>
<div class="axis"><span>${escapeHtml(words.column)}</span><span class="time">${ticks
    .map(
      (ns) => `<i style="left:${percent(ns / tree.total)}">${escapeHtml(formatTick(ns, step))}</i>`,
    )
    .join("")}</span></div>
<main>
${rows.map((row) => rowHtml(input, row, details)).join("\n")}
</main>
${cut}<p class="note">${escapeHtml(words.made)}</p>
</body>
</html>
`;
}

function rowHtml(
  { tree, words }: ExportInput,
  row: number,
  details: ReadonlyMap<string, Detail>,
): string {
  const isLost = isPlaceholder(tree, row);
  const failed = !isLost && isError(tree, row);
  const service = serviceOf(tree, row);
  const left = percent(at(tree.start, row) / tree.total);
  const width = percent((at(tree.end, row) - at(tree.start, row)) / tree.total);
  const index = tree.view.spans.service[row] ?? -1;
  const name = isLost
    ? `<em>${escapeHtml(words.missing)}</em>`
    : `<b>${escapeHtml(service)}</b> ${escapeHtml(nameOf(tree, row))}`;
  const id = spanIdOf(tree, row);
  const said = isLost ? "" : formatDuration(durationOf(tree, row));
  const indent = Math.min(INDENT_MAX, at(tree.depth, row));
  const summary =
    `<summary class="s${index}${failed ? " e" : ""}"><span class="n" style="padding-left:${indent * 12}px">` +
    `<u></u>${name}${failed ? ` <em>${escapeHtml(words.error)}</em>` : ""}</span>` +
    `<span class="t"><i style="left:${left};width:${width}"></i><s style="left:min(${left} + ${width} + 5px, 100% - 64px)">${escapeHtml(said)}</s></span></summary>`;
  const message = tree.view.spans.statusMessage[row] ?? "";
  const body = [
    `<p class="id"><code>${escapeHtml(id)}</code>${message ? ` <em>${escapeHtml(shortened(message))}</em>` : ""}</p>`,
    detailHtml(words, details.get(id)),
  ].join("");
  return `<details>${summary}<div class="d">${body}</div></details>`;
}

function detailHtml(words: ExportWords, detail: Detail | undefined): string {
  if (!detail) return "";
  const events = detail.events.map(
    (e) => `<h3>${escapeHtml(e.name ?? "")}</h3>${tableHtml(e.attributes ?? [])}`,
  );
  const links = detail.links.map(
    (l) => `<p><code>${escapeHtml(l.traceId)} / ${escapeHtml(l.spanId)}</code></p>`,
  );
  return [
    section(words.attributes, tableHtml(detail.attributes)),
    section(words.events, events.join("")),
    section(words.links, links.join("")),
    section(words.resource, tableHtml(detail.resource)),
  ].join("");
}

const section = (title: string, body: string) =>
  body === "" ? "" : `<section><h2>${escapeHtml(title)}</h2>${body}</section>`;

function tableHtml(attributes: readonly OtlpAttribute[]): string {
  if (attributes.length === 0) return "";
  const rows = attributes.map(
    ({ key, value }) =>
      `<tr><th>${escapeHtml(key)}</th><td>${escapeHtml(shortened(otlpText(value)))}</td></tr>`,
  );
  return `<table>${rows.join("")}</table>`;
}

const shortened = (text: string) => (text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text);

function detailsOf(whole: OtlpTrace | null): Map<string, Detail> {
  const details = new Map<string, Detail>();
  for (const { resource, scopeSpans } of whole?.resourceSpans ?? []) {
    for (const span of (scopeSpans ?? []).flatMap((s) => s.spans ?? [])) {
      details.set(span.spanId, {
        attributes: span.attributes ?? [],
        resource: resource?.attributes ?? [],
        events: span.events ?? [],
        links: span.links ?? [],
      });
    }
  }
  return details;
}

const percent = (share: number) => `${Math.round(Math.min(1, Math.max(0, share)) * 1e4) / 100}%`;

/** One colour a service, in both themes. */
function serviceStyles(tree: TraceTree, slot: (service: string) => number): string {
  const rules = (theme: "light" | "dark") =>
    tree.view.services
      .map((service, i) => `.s${i}{--c:${slotColor(slot(service), theme)}}`)
      .join("");
  return `${rules("light")}@media(prefers-color-scheme:dark){${rules("dark")}}`;
}

const STYLE = `
:root{color-scheme:light dark;--bg:oklch(.985 .004 85);--line:oklch(.91 .006 85);--ink:oklch(.24 .02 265);--ink2:oklch(.42 .02 265);--error:oklch(.53 .21 25);--error-bg:oklch(.955 .03 25)}
@media(prefers-color-scheme:dark){:root{--bg:oklch(.175 .014 268);--line:oklch(.285 .017 268);--ink:oklch(.95 .006 265);--ink2:oklch(.79 .012 265);--error:oklch(.7 .18 22);--error-bg:oklch(.29 .07 22)}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:13px/1.45 system-ui,sans-serif;font-variant-numeric:tabular-nums}
header{padding:18px 20px 12px}
h1{margin:0 0 4px;font-size:20px;letter-spacing:-.02em}
header p{margin:0;color:var(--ink2)}
header span+span::before{content:" · "}
code,th,td{font:12px/1.45 ui-monospace,monospace}
.axis,summary{display:grid;grid-template-columns:minmax(160px,36%) 1fr}
.axis{position:sticky;top:0;z-index:1;padding:5px 0;border-block:1px solid var(--line);background:var(--bg);color:var(--ink2);font-size:12px}
.axis>span:first-child{padding-left:20px}
.time,.t{position:relative}
.time i{position:absolute;font-style:normal}
details{border-bottom:1px solid var(--line)}
summary{align-items:center;min-height:25px;cursor:pointer;list-style:none}
summary::-webkit-details-marker{display:none}
summary:hover{outline:1px solid var(--line)}
.n{display:block;margin-left:20px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;color:var(--ink2)}
.n b{color:var(--ink)}
.n u{display:inline-block;width:9px;height:9px;margin-right:6px;border-radius:3px;background:var(--c,var(--line))}
em{color:var(--error);font-style:normal;font-weight:600}
.t{height:18px;margin-right:12px}
.t i{position:absolute;top:3px;height:12px;min-width:2px;border-radius:3px;background:var(--c,var(--line))}
.t s{position:absolute;top:0;padding:0 3px;background:var(--bg);color:var(--ink2);font-size:12px;text-decoration:none;white-space:nowrap}
.e{background:var(--error-bg)}
.e .t i{outline:2px solid var(--error)}
.e .t s{background:none;color:var(--error)}
.d{padding:4px 20px 14px 44px}
.d h2{margin:10px 0 2px;font-size:12px}
.d h3{margin:6px 0 2px;font-size:12px;font-weight:500}
.id{margin:2px 0}
table{border-collapse:collapse;max-width:100%}
th{padding:2px 18px 2px 0;color:var(--ink2);font-weight:400;text-align:left;vertical-align:top;white-space:nowrap}
td{padding:2px 0;white-space:pre-wrap;overflow-wrap:anywhere}
.note{padding:8px 20px;color:var(--ink2);font-size:12px}
@media print{details>.d{display:block}.axis{position:static}}
`;
