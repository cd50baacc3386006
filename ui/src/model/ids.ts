/**
 * Ids and units as types of their own, so that no two of them are swapped by mistake.
 *
 * Rule: W3C Trace Context (traceparent), AWS X-Ray trace ids, B3 short ids (zero padded).
 */

declare const brand: unique symbol;

/** 32 lowercase hex digits. */
export type TraceId = string & { readonly [brand]: "TraceId" };
/** 16 lowercase hex digits. */
export type SpanId = string & { readonly [brand]: "SpanId" };
/** A length of time in nanoseconds. */
export type Nanos = number & { readonly [brand]: "Nanos" };
/** A point in time: nanoseconds since the epoch as decimal text, for it exceeds 2^53. */
export type UnixNanos = string & { readonly [brand]: "UnixNanos" };

export const nanos = (value: number): Nanos => value as Nanos;
export const spanId = (text: string): SpanId => text.toLowerCase() as SpanId;

/** What a pasted text points to. */
export interface PastedId {
  traceId: TraceId;
  spanId: SpanId | null;
}

const HEX32 = "[0-9a-f]{32}";
const HEX16 = "[0-9a-f]{16}";
const NOT_HEX_BEFORE = "(?<![0-9a-z])";
const NOT_HEX_AFTER = "(?![0-9a-z])";

/** The forms, most telling first: a traceparent also contains 32 hex digits. */
const FORMS: readonly { pattern: RegExp; read: (m: RegExpExecArray) => PastedId }[] = [
  {
    pattern: new RegExp(`${NOT_HEX_BEFORE}[0-9a-f]{2}-(${HEX32})-(${HEX16})-[0-9a-f]{2}`),
    read: (m) => pasted(m[1], m[2]),
  },
  {
    pattern: new RegExp(
      `root=1-([0-9a-f]{8})-([0-9a-f]{24})(?:[^\\n]*?parent=(${HEX16})${NOT_HEX_AFTER})?`,
    ),
    read: (m) => pasted(`${m[1]}${m[2]}`, m[3]),
  },
  {
    pattern: new RegExp(`${NOT_HEX_BEFORE}1-([0-9a-f]{8})-([0-9a-f]{24})${NOT_HEX_AFTER}`),
    read: (m) => pasted(`${m[1]}${m[2]}`, undefined),
  },
  {
    pattern: new RegExp(`${NOT_HEX_BEFORE}(${HEX32})(?:-(${HEX16}))?${NOT_HEX_AFTER}`),
    read: (m) => pasted(m[1], m[2]),
  },
  {
    // A UUID is a trace id to some tools (Datadog and Azure print it so).
    pattern: new RegExp(
      `${NOT_HEX_BEFORE}([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})${NOT_HEX_AFTER}`,
    ),
    read: (m) => pasted(m.slice(1, 6).join(""), undefined),
  },
];

/** A 16-digit id is a trace id only when it stands alone: in a line of text it is likelier a span. */
const ALONE16 = new RegExp(`^${HEX16}$`);

/**
 * Finds the trace id in anything a person may paste: an id in W3C, X-Ray or B3 form, a whole
 * header, a URL or a log line. `null` when there is none; an id of zeros only is none.
 */
export function findTraceId(text: string): PastedId | null {
  const lower = text.trim().toLowerCase();
  for (const { pattern, read } of FORMS) {
    const match = pattern.exec(lower);
    if (!match) continue;
    const found = read(match);
    if (!/^0+$/.test(found.traceId)) return found;
  }
  if (ALONE16.test(lower) && !/^0+$/.test(lower)) return pasted(lower.padStart(32, "0"), undefined);
  return null;
}

/** The id in a path segment, or `null` when it is none. */
export function parseTraceId(text: string): TraceId | null {
  return findTraceId(text)?.traceId ?? null;
}

/** The id as X-Ray writes it: `1-`, eight digits of time, 24 more. Rule: X-Ray developer guide. */
export function xrayTraceId(id: TraceId): string {
  return `1-${id.slice(0, 8)}-${id.slice(8)}`;
}

/** The span id in a query value, or `null`. */
export function parseSpanId(text: string): SpanId | null {
  const lower = text.toLowerCase();
  return ALONE16.test(lower) ? (lower as SpanId) : null;
}

function pasted(trace: string | undefined, span: string | undefined): PastedId {
  return {
    traceId: (trace ?? "") as TraceId,
    spanId: span && !/^0+$/.test(span) ? (span as SpanId) : null,
  };
}
