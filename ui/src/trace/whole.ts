/**
 * The whole trace as OTLP, read for what the columns do not hold: attributes, events and links of
 * every span. Large traces are not fetched whole for it.
 */
import type { OtlpAttribute, OtlpTrace, OtlpValue } from "../api/types";

/** Above this many spans the page does not fetch every attribute. */
export const WHOLE_SPANS_MAX = 20_000;

export interface LoggedEvent {
  readonly spanId: string;
  readonly timeUnixNano: string;
  readonly name: string;
  readonly attributes: readonly { readonly key: string; readonly text: string }[];
}

export interface SpanLink {
  /** The span that has the link, and the one it names. */
  readonly from: string;
  readonly traceId: string;
  readonly spanId: string;
}

export interface Whole {
  /** Attributes of span and resource as `key=value` lines in lower case, by span id. */
  readonly texts: ReadonlyMap<string, string>;
  readonly events: readonly LoggedEvent[];
  readonly links: readonly SpanLink[];
}

export function readWhole(trace: OtlpTrace): Whole {
  const texts = new Map<string, string>();
  const events: LoggedEvent[] = [];
  const links: SpanLink[] = [];
  for (const { resource, scopeSpans } of trace.resourceSpans) {
    const shared = lines(resource?.attributes);
    for (const { spans } of scopeSpans ?? []) {
      for (const span of spans ?? []) {
        const own = lines(span.attributes);
        const told = (span.events ?? []).map((e) => `${e.name ?? ""}\n${lines(e.attributes)}`);
        texts.set(span.spanId, [own, shared, ...told].join("\n").toLowerCase());
        for (const event of span.events ?? []) {
          events.push({
            spanId: span.spanId,
            timeUnixNano: event.timeUnixNano ?? "0",
            name: event.name ?? "",
            attributes: (event.attributes ?? []).map((a) => ({
              key: a.key,
              text: otlpText(a.value),
            })),
          });
        }
        for (const link of span.links ?? []) {
          links.push({ from: span.spanId, traceId: link.traceId, spanId: link.spanId });
        }
      }
    }
  }
  events.sort((a, b) => compareNano(a.timeUnixNano, b.timeUnixNano));
  return { texts, events, links };
}

/** Decimal texts of any length, compared as numbers. */
function compareNano(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

function lines(attributes: readonly OtlpAttribute[] | undefined): string {
  return (attributes ?? []).map(({ key, value }) => `${key}=${otlpText(value)}`).join("\n");
}

/** A value as text. Rule: OTLP, `common.proto`, `AnyValue` in its JSON form. */
export function otlpText(value: OtlpValue | undefined): string {
  if (!value) return "";
  if (value.arrayValue) return `[${(value.arrayValue.values ?? []).map(otlpText).join(", ")}]`;
  if (value.kvlistValue) return `{${lines(value.kvlistValue.values).replaceAll("\n", ", ")}}`;
  const [plain] = Object.values(value);
  return plain === undefined || plain === null ? "" : String(plain);
}
