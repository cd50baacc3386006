/**
 * A journey as it is drawn: its traces in order, each a small tree, the messages between them, and a
 * time axis on which long stretches without any span are short. Pure.
 */
import type { Join, Journey, JourneySpan, JourneyTrace } from "../api/types";

/** A span in its tree; times are nanoseconds after the start of the journey. */
export interface SpanRow {
  readonly span: JourneySpan;
  readonly depth: number;
  readonly start: number;
  /** The end of a span that still runs is that of the journey. */
  readonly end: number;
  /** Messages of the same trace that this span took. */
  readonly joins: readonly Join[];
}

/** One trace, the messages that led to it, and what it did. */
export interface Member {
  readonly trace: JourneyTrace;
  readonly services: readonly string[];
  readonly start: number;
  readonly end: number;
  /** Time in which at least one of its spans ran, in nanoseconds. */
  readonly work: number;
  readonly failed: boolean;
  /** Messages from other traces, by their wait. */
  readonly joins: readonly Join[];
  readonly rows: readonly SpanRow[];
}

/** A stretch of time, in nanoseconds after the start of the journey. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** Nanoseconds from one point in time to another; both are nanoseconds since the epoch as text. */
export function nanosBetween(from: string, to: string): number {
  return Number(BigInt(to) - BigInt(from));
}

/** The traces in the order of their first spans; of two that start together, the earlier hop first. */
export function layoutJourney(journey: Journey): Member[] {
  const members = journey.traces.map((trace) => member(journey, trace));
  return members.sort((a, b) => a.start - b.start || a.trace.hops - b.trace.hops);
}

function member(journey: Journey, trace: JourneyTrace): Member {
  const into = journey.joins.filter((join) => join.toTraceId === trace.traceId);
  const inside = into.filter((join) => join.fromTraceId === trace.traceId);
  const rows = treeRows(journey, trace, inside);
  const busy = union(rows);
  return {
    trace,
    services: [...new Set(rows.map((row) => row.span.service))],
    start: rows.reduce((least, row) => Math.min(least, row.start), rows[0]?.start ?? 0),
    end: rows.reduce((most, row) => Math.max(most, row.end), 0),
    work: busy.reduce((sum, { from, to }) => sum + to - from, 0),
    failed: rows.some((row) => row.span.error),
    joins: into
      .filter((join) => join.fromTraceId !== trace.traceId)
      .sort((a, b) => b.waitNano - a.waitNano || (a.id < b.id ? -1 : 1)),
    rows,
  };
}

/** Parents before children, siblings by start. A span whose parent is not here is a root. */
function treeRows(journey: Journey, trace: JourneyTrace, inside: readonly Join[]): SpanRow[] {
  const held = new Set(trace.spans.map((span) => span.spanId));
  const children = new Map<string, JourneySpan[]>();
  for (const span of trace.spans) {
    const parent = span.parentSpanId && held.has(span.parentSpanId) ? span.parentSpanId : "";
    const list = children.get(parent);
    if (list) list.push(span);
    else children.set(parent, [span]);
  }
  const begin = (span: JourneySpan) =>
    nanosBetween(journey.startTimeUnixNano, span.startTimeUnixNano);
  for (const list of children.values()) list.sort((a, b) => begin(a) - begin(b));
  const rows: SpanRow[] = [];
  const seen = new Set<string>();
  const walk = (roots: readonly JourneySpan[]) => {
    const stack = roots.map((span) => ({ span, depth: 0 })).reverse();
    for (let next = stack.pop(); next; next = stack.pop()) {
      const { span, depth } = next;
      if (seen.has(span.spanId)) continue;
      seen.add(span.spanId);
      const start = begin(span);
      const end = span.durationNano == null ? journey.durationNano : start + span.durationNano;
      const joins = inside.filter((join) => join.toSpanId === span.spanId);
      rows.push({ span, depth, start, end: Math.max(start, end), joins });
      const below = children.get(span.spanId) ?? [];
      for (const child of below.toReversed()) stack.push({ span: child, depth: depth + 1 });
    }
  };
  walk(children.get("") ?? []);
  // Spans that are each other's parents hang on no root.
  for (const span of trace.spans) if (!seen.has(span.spanId)) walk([span]);
  return rows;
}

/** The stretches in which something ran, in order and apart. */
export function union(rows: readonly { start: number; end: number }[]): Stretch[] {
  const out: { from: number; to: number }[] = [];
  for (const { start, end } of [...rows].sort((a, b) => a.start - b.start)) {
    const last = out.at(-1);
    if (last && start <= last.to) last.to = Math.max(last.to, end);
    else out.push({ from: start, to: end });
  }
  return out;
}

/** Traces that are as many messages away from the one asked for. */
export interface Stage {
  readonly hops: number;
  readonly members: readonly Member[];
  readonly services: readonly string[];
  readonly work: number;
  readonly failed: boolean;
  /** The message that waited longest to get here; the first stage has none. */
  readonly join: Join | null;
}

/** The traces by how many messages away they are, from the origins on. */
export function stagesOf(members: readonly Member[]): Stage[] {
  const hops = [...new Set(members.map((m) => m.trace.hops))].sort((a, b) => a - b);
  return hops.map((hop, i) => {
    const here = members.filter((m) => m.trace.hops === hop);
    const joins = here.flatMap((m) => m.joins).sort((a, b) => b.waitNano - a.waitNano);
    return {
      hops: hop,
      members: here,
      services: [...new Set(here.flatMap((m) => m.services))],
      work: union(here.flatMap((m) => m.rows)).reduce((sum, { from, to }) => sum + to - from, 0),
      failed: here.some((m) => m.failed),
      join: i === 0 ? null : (joins[0] ?? null),
    };
  });
}

/**
 * The stretches that the axis shortens: nothing ran, and they are longer than five median busy
 * stretches and than a twentieth of the whole.
 */
export function idleStretches(members: readonly Member[], total: number): Stretch[] {
  const busy = union(members.flatMap((m) => m.rows));
  const lengths = busy.map(({ from, to }) => to - from).sort((a, b) => a - b);
  const median = lengths[lengths.length >> 1] ?? 0;
  const least = Math.max(5 * median, total / 20);
  return busy.slice(1).flatMap((next, i) => {
    const from = busy[i]?.to ?? 0;
    return next.from - from > least ? [{ from, to: next.from }] : [];
  });
}

export interface Axis {
  /** Where a point in time is, in pixels from the left. */
  readonly x: (ns: number) => number;
  readonly bands: readonly {
    readonly left: number;
    readonly width: number;
    readonly nanos: number;
  }[];
  /** Where the linear stretches between the bands begin and end. */
  readonly runs: readonly {
    readonly left: number;
    readonly width: number;
    readonly from: number;
    readonly to: number;
  }[];
}

const BAND_PX = 96;
/** Bands together take no more than this share of the width. */
const BANDS_SHARE_MAX = 0.45;

/** One linear scale for all but `idle`, each of which is a band of fixed width. */
export function buildAxis(total: number, idle: readonly Stretch[], width: number): Axis {
  const band = Math.min(BAND_PX, (width * BANDS_SHARE_MAX) / Math.max(1, idle.length));
  const cut = idle.reduce((sum, { from, to }) => sum + to - from, 0);
  const scale = (width - band * idle.length) / Math.max(1, total - cut);
  const bands: { left: number; width: number; nanos: number }[] = [];
  const runs: { left: number; width: number; from: number; to: number }[] = [];
  let left = 0;
  let at = 0;
  for (const { from, to } of idle) {
    runs.push({ left, width: (from - at) * scale, from: at, to: from });
    left += (from - at) * scale;
    bands.push({ left, width: band, nanos: to - from });
    left += band;
    at = to;
  }
  runs.push({ left, width: (total - at) * scale, from: at, to: total });
  const x = (ns: number) => {
    const time = Math.min(total, Math.max(0, ns));
    const run = runs.findIndex(({ to }) => time <= to);
    const r = runs[run];
    if (!r) return width;
    if (time >= r.from) return r.left + (time - r.from) * scale;
    const gap = idle[run - 1];
    const b = bands[run - 1];
    return gap && b ? b.left + ((time - gap.from) / (gap.to - gap.from)) * b.width : r.left;
  };
  return { x, bands, runs };
}

/** The join that is least certain, of several the first; `null` when there is none. */
export function leastSure(joins: readonly Join[]): Join | null {
  return joins.reduce<Join | null>(
    (least, join) => (least === null || join.confidence < least.confidence ? join : least),
    null,
  );
}
