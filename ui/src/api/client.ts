/**
 * The typed client: one function per question the page asks. All of them go to this page's own host.
 *
 * A failed call throws an [`ApiError`] whose message is fit to be shown.
 */
import createClient from "openapi-fetch";
import type { SpanId, TraceId } from "../model/ids";
import type { Language } from "../model/xray-filter";
import type {
  AttributeKey,
  Diagnosis,
  Differences,
  EdgeMade,
  Journey,
  JourneyList,
  Operation,
  OtlpTrace,
  PagePlaces,
  Paths,
  Rejected,
  SearchResult,
  SeriesAnswer,
  ServiceMap,
  ServiceStats,
  SpanDetail,
  Status,
  TraceLinks,
  TraceLogs,
  TraceView,
  ValueCount,
} from "./types";

/** Why a call failed. `at` is the offset in the query at which the server stopped understanding. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly at: number | null,
  ) {
    super(message);
  }
}

/** What every question about a stretch of time carries. */
export interface Scope {
  from: string;
  to: string;
  environment: string | null;
}

/** The path under which this page is hosted, with a slash at its end. */
export const base = new URL(".", document.baseURI);

const client = createClient<Paths>({ baseUrl: new URL("api/v1", base).href });

export async function search(
  scope: Scope,
  q: string,
  limit: number,
  signal: AbortSignal,
  language: Language = "native",
): Promise<SearchResult> {
  const query = { ...range(scope), q, limit, language };
  return unwrap(await client.GET("/search", { params: { query }, signal }));
}

/** A named filter expression; the one called `Default` has none and takes every trace. */
export interface XrayGroup {
  GroupName: string;
  FilterExpression?: string;
}

/** The groups, which only X-Ray's own API knows. Rule: X-Ray API, `GetGroups`; one page has all. */
export async function xrayGroups(signal: AbortSignal): Promise<XrayGroup[]> {
  const response = await fetch(new URL("xray/Groups", base), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
    signal,
  });
  const body: { Groups?: XrayGroup[]; Message?: string } = await response.json();
  if (!response.ok) throw new ApiError(body.Message ?? response.statusText, response.status, null);
  return body.Groups ?? [];
}

/** The map; with `breakdown` each service also says how it does for each value of that key. */
export async function serviceMap(
  scope: Scope,
  signal: AbortSignal,
  breakdown: string | null = null,
): Promise<ServiceMap> {
  const query = { ...range(scope), ...(breakdown === null ? {} : { breakdown }) };
  return unwrap(await client.GET("/map", { params: { query }, signal }));
}

/** What is asked of spans: which, in which language, and by which key they are told apart. */
export interface Asked {
  q: string;
  language: Language;
}

/** Requests, failures and durations over time; by the values of a key, if one is given. */
export async function series(
  scope: Scope,
  { q, language }: Asked,
  by: string | null,
  points: number,
  signal: AbortSignal,
): Promise<SeriesAnswer> {
  const query = { ...range(scope), q, language, points, ...(by === null ? {} : { by }) };
  return unwrap(await client.GET("/series", { params: { query }, signal }));
}

/** What the traces in a box of time and duration have more or less often than the others. */
export async function differences(
  scope: Scope,
  { q, language }: Asked,
  box: { since: string; until: string; minDurationNano: number; maxDurationNano: number },
  limit: number,
  signal: AbortSignal,
): Promise<Differences> {
  const query = { ...range(scope), q, language, ...box, limit };
  return unwrap(await client.GET("/differences", { params: { query }, signal }));
}

/** Where cards stand and which colour services have, as the server keeps it for everyone. */
export async function pagePlaces(
  environment: string | null,
  signal: AbortSignal,
): Promise<PagePlaces> {
  const query = environment === null ? {} : { environment };
  return unwrap(await client.GET("/page/places", { params: { query }, signal }));
}

/** Adds to what the server keeps; `null` removes. Nothing waits for it. */
export async function keepPlaces(
  environment: string | null,
  changes: {
    places?: Record<string, readonly number[] | null>;
    colors?: Record<string, number | null>;
  },
): Promise<void> {
  const url = new URL("api/v1/page/places", base);
  if (environment !== null) url.searchParams.set("environment", environment);
  const response = await fetch(url, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(changes),
  });
  // An answer that nobody reads keeps its connection busy.
  await response.arrayBuffer();
  if (!response.ok) throw new ApiError(response.statusText, response.status, null);
}

/** Where the spans of a trace point to, and which spans of other traces point to it. */
export async function traceLinks(id: TraceId, signal: AbortSignal): Promise<TraceLinks> {
  return unwrap(await client.GET("/traces/{id}/links", { params: { path: { id } }, signal }));
}

/** What programs wrote down while they worked for a trace, by time. */
export async function traceLogs(id: TraceId, signal: AbortSignal): Promise<TraceLogs> {
  return unwrap(await client.GET("/traces/{id}/logs", { params: { path: { id } }, signal }));
}

export async function traceView(id: TraceId, signal: AbortSignal): Promise<TraceView> {
  return unwrap(await client.GET("/traces/{id}/view", { params: { path: { id } }, signal }));
}

export async function traceOtlp(id: TraceId, signal: AbortSignal): Promise<OtlpTrace> {
  return unwrap(await client.GET("/traces/{id}", { params: { path: { id } }, signal }));
}

export async function spanDetail(
  id: TraceId,
  spanId: SpanId,
  signal: AbortSignal,
): Promise<SpanDetail> {
  const params = { path: { id, spanId } };
  return unwrap(await client.GET("/traces/{id}/spans/{spanId}", { params, signal }));
}

/** Journeys of which a trace matches, newest first; waits are in nanoseconds. */
export async function journeys(
  scope: Scope,
  q: string,
  minWaitNano: number,
  limit: number,
  signal: AbortSignal,
): Promise<JourneyList> {
  const query = { ...range(scope), q, minWaitNano, limit };
  return unwrap(await client.GET("/journeys", { params: { query }, signal }));
}

/** What a trace came from and led to; one without messages is a journey of its own. */
export async function journey(
  traceId: TraceId,
  signal: AbortSignal,
  withGuesses = false,
): Promise<Journey> {
  const params = { path: { traceId }, query: withGuesses ? { guesses: "1" as const } : {} };
  return unwrap(await client.GET("/journeys/{traceId}", { params, signal }));
}

/** What a person says of two spans: that a message joins them, that none does, or nothing any more. */
export interface Verdict {
  fromTraceId: string;
  fromSpanId: string;
  toTraceId: string;
  toSpanId: string;
  verdict: "confirm" | "reject" | "forget";
  by: string;
  note: string;
  acrossEnvironments?: boolean;
}

/** Keeps a verdict; it counts from then on. */
export async function sayJoin(verdict: Verdict): Promise<void> {
  await post("joins", verdict);
}

/** Has the server make an invented system, and gives the environment that it is in. */
export async function loadSample(): Promise<string> {
  const { environment } = (await post("sample", {})) as { environment: string };
  return environment;
}

async function post(path: string, question: unknown): Promise<unknown> {
  const response = await fetch(new URL(`api/v1/${path}`, base), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(question),
  });
  const body: { error?: { message: string } } = await response.json().catch(() => ({}));
  if (response.ok) return body;
  throw new ApiError(body.error?.message ?? response.statusText, response.status, null);
}

/** Where traces lost their context in a stretch of time, worst first. */
export async function doctor(scope: Scope, signal: AbortSignal): Promise<Diagnosis> {
  return unwrap(await client.GET("/doctor", { params: { query: range(scope) }, signal }));
}

export async function operations(
  service: string,
  scope: Scope,
  signal: AbortSignal,
): Promise<Operation[]> {
  const params = { path: { service }, query: range(scope) };
  const body = unwrap(await client.GET("/services/{service}/operations", { params, signal }));
  return body.operations;
}

/** The operations and some calls of an edge of the map. */
export async function edgeMade(
  source: string,
  target: string,
  scope: Scope,
  signal: AbortSignal,
): Promise<EdgeMade> {
  const query = { source, target, ...range(scope) };
  return unwrap(await client.GET("/map/edge", { params: { query }, signal }));
}

export async function environments(signal: AbortSignal): Promise<string[]> {
  return unwrap(await client.GET("/environments", { signal })).environments;
}

export async function services(scope: Scope, signal: AbortSignal): Promise<ServiceStats[]> {
  const body = unwrap(await client.GET("/services", { params: { query: range(scope) }, signal }));
  return body.services;
}

export async function serviceNames(scope: Scope, signal: AbortSignal): Promise<string[]> {
  return (await services(scope, signal)).map((s) => s.name);
}

/** The keys that spans have, most used first. */
export async function attributeKeys(limit: number, signal: AbortSignal): Promise<AttributeKey[]> {
  const params = { query: { limit } };
  return unwrap(await client.GET("/attributes", { params, signal })).attributes;
}

/** The values of a key that begin with `prefix`, most used first. */
export async function attributeValues(
  key: string,
  prefix: string,
  limit: number,
  { from, to }: Scope,
  signal: AbortSignal,
): Promise<ValueCount[]> {
  const params = { path: { key }, query: { from, to, prefix, limit } };
  return unwrap(await client.GET("/attributes/{key}/values", { params, signal })).values;
}

export async function rejected(signal: AbortSignal): Promise<Rejected[]> {
  return unwrap(await client.GET("/rejected", { signal })).rejected;
}

export async function status(signal: AbortSignal): Promise<Status> {
  return unwrap(await client.GET("/status", { signal }));
}

/** Where the whole trace can be downloaded as OTLP JSON. */
export function otlpUrl(id: TraceId): string {
  return new URL(`api/v1/traces/${id}`, base).href;
}

/** Sends spans as OTLP JSON to this page's own host. */
export async function sendOtlp(body: unknown): Promise<void> {
  const response = await fetch(new URL("v1/traces", base), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new ApiError(await response.text(), response.status, null);
}

/** Whether a call was given up because its answer is no longer wanted. */
export function isAborted(err: unknown): boolean {
  return err instanceof DOMException && err.name === "AbortError";
}

function range({ from, to, environment }: Scope) {
  return { from, to, ...(environment === null ? {} : { environment }) };
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

function unwrap<T>({ data, error, response }: Answer<T>): T {
  if (data !== undefined) return data;
  const body = (error as { error?: { message?: string; at?: number | null } } | undefined)?.error;
  const message = body?.message ?? `${response.status} ${response.statusText}`.trim();
  throw new ApiError(message, response.status, body?.at ?? null);
}
