/**
 * What the page uses of the native API, in the shape that `openapi-typescript` gives. By hand: it
 * is narrower than `ui/openapi.json` (`"sync" | "async"`, not a string), and must follow it; `npm run
 * api:types` writes `generated/schema.ts` to compare with. Nothing but `types.ts` and `client.ts` may
 * import it.
 */

type Json = "application/json";
interface Ok<T> {
  headers: Record<string, unknown>;
  content: Record<Json, T>;
}
interface Get<Query, Path, Body> {
  parameters: { query?: Query; header?: never; cookie?: never } & ([Path] extends [never]
    ? { path?: never }
    : { path: Path });
  requestBody?: never;
  responses: { 200: Ok<Body>; default: Ok<components["schemas"]["ErrorBody"]> };
}
interface NoPath {
  parameters: { query?: never; path?: never; header?: never; cookie?: never };
  put?: never;
  post?: never;
  delete?: never;
  options?: never;
  head?: never;
  patch?: never;
  trace?: never;
}
type Schemas = components["schemas"];

interface Range {
  from?: string;
  to?: string;
  environment?: string;
}

export interface paths {
  "/search": NoPath & {
    get: Get<
      Range & { q?: string; language?: string; limit?: number },
      never,
      Schemas["SearchResult"]
    >;
  };
  "/map": NoPath & { get: Get<Range & { breakdown?: string }, never, Schemas["ServiceMap"]> };
  "/map/edge": NoPath & {
    get: Get<Range & { source: string; target: string }, never, Schemas["EdgeMade"]>;
  };
  "/series": NoPath & {
    get: Get<
      Range & { q?: string; language?: string; points?: number; by?: string; limit?: number },
      never,
      Schemas["SeriesAnswer"]
    >;
  };
  "/differences": NoPath & {
    get: Get<
      Range & {
        q?: string;
        language?: string;
        since?: string;
        until?: string;
        minDurationNano?: number;
        maxDurationNano?: number;
        of?: "spans" | "traces";
        limit?: number;
      },
      never,
      Schemas["Differences"]
    >;
  };
  "/page/places": NoPath & {
    get: Get<{ environment?: string }, never, Schemas["PagePlaces"]>;
  };
  "/traces/{id}": NoPath & { get: Get<never, { id: string }, Schemas["OtlpTrace"]> };
  "/traces/{id}/links": NoPath & { get: Get<never, { id: string }, Schemas["TraceLinks"]> };
  "/traces/{id}/logs": NoPath & { get: Get<never, { id: string }, Schemas["TraceLogs"]> };
  "/traces/{id}/view": NoPath & { get: Get<never, { id: string }, Schemas["TraceView"]> };
  "/traces/{id}/spans/{spanId}": NoPath & {
    get: Get<never, { id: string; spanId: string }, Schemas["SpanDetail"]>;
  };
  "/attributes": NoPath & {
    get: Get<{ prefix?: string; limit?: number }, never, Schemas["Keys"]>;
  };
  "/attributes/{key}/values": NoPath & {
    get: Get<
      Range & { scope?: string; prefix?: string; limit?: number },
      { key: string },
      Schemas["Values"]
    >;
  };
  "/environments": NoPath & { get: Get<never, never, Schemas["Environments"]> };
  "/services": NoPath & { get: Get<Range, never, Schemas["Services"]> };
  "/services/{service}/operations": NoPath & {
    get: Get<Range, { service: string }, Schemas["Operations"]>;
  };
  "/journeys": NoPath & {
    get: Get<
      Range & { q?: string; minDurationNano?: number; minWaitNano?: number; limit?: number },
      never,
      Schemas["JourneyList"]
    >;
  };
  "/journeys/{traceId}": NoPath & {
    get: Get<{ span?: string; guesses?: "1" }, { traceId: string }, Schemas["Journey"]>;
  };
  "/doctor": NoPath & { get: Get<Range, never, Schemas["Diagnosis"]> };
  "/rejected": NoPath & { get: Get<never, never, Schemas["RejectedList"]> };
  "/status": NoPath & { get: Get<never, never, Schemas["Status"]> };
}

interface Red {
  requests: number;
  errors: number;
  p50Nano: number;
  p95Nano: number;
  p99Nano: number;
}

export interface components {
  schemas: {
    ErrorBody: { error: { message: string; at?: number | null } };
    SearchResult: { traces: Schemas["TraceSummary"][]; truncated: boolean };
    TraceSummary: {
      traceId: string;
      rootService: string;
      rootName: string;
      startTimeUnixNano: string;
      durationNano: number;
      spanCount: number;
      errorCount: number;
      services: string[];
      environment: string | null;
      failing: { service: string; name: string; message: string } | null;
      rootMissing: boolean;
      matchedSpans: number;
    };
    ServiceMap: {
      nodes: Schemas["MapNode"][];
      edges: Schemas["MapEdge"][];
      fromUnixNano: string;
      toUnixNano: string;
    };
    Part: Red & { value: string | null };
    SeriesAnswer: {
      startUnixNano: string;
      stepNano: number;
      series: {
        value: string | null;
        rest?: boolean;
        requests: number[];
        errors: number[];
        p50Nano: (number | null)[];
        p95Nano: (number | null)[];
        p99Nano: (number | null)[];
      }[];
      spans: number;
      truncated: boolean;
    };
    Differences: {
      inside: number;
      outside: number;
      sampled: boolean;
      attributes: {
        scope: string;
        key: string;
        value: string;
        inside: number;
        outside: number;
        insideShare: number;
        outsideShare: number;
        insideP50Nano?: number | null;
        outsideP50Nano?: number | null;
      }[];
      skipped?: string[];
    };
    PagePlaces: { places: Record<string, number[]>; colors: Record<string, number> };
    TraceLinks: {
      links: {
        spanId: string;
        traceId: string;
        toSpanId: string;
        rootService: string;
        rootName: string;
        startTimeUnixNano: string | null;
      }[];
      backLinks: {
        fromTraceId: string;
        fromSpanId: string;
        service: string;
        name: string;
        startTimeUnixNano: string;
        toSpanId: string;
      }[];
      truncated: boolean;
    };
    MapNode: Red & {
      parts?: Schemas["Part"][];
      id: string;
      name: string;
      kind: "service" | "database" | "queue" | "topic" | "stream" | "function" | "external" | "rpc";
      system: string | null;
      inferred: boolean;
      messages?: Schemas["NodeMessages"];
    };
    WaitBucket: { toNano: number; count: number };
    NodeMessages: {
      published: number;
      consumed: number;
      publishPerSecond: number;
      consumePerSecond: number;
      batchP50: number;
      batchMax: number;
      attemptsMax: number;
      redelivered: number;
      unmatchedOut: number;
      unmatchedIn: number;
      waitP50Nano?: number | null;
      waitP95Nano?: number | null;
      waitMaxNano?: number | null;
      sampled: boolean;
    };
    MapEdge: Red & {
      from: string;
      to: string;
      kind: "sync" | "async";
      evidence: ("parent" | "link" | "message" | "inferred")[];
      waitP50Nano?: number | null;
      waitP95Nano?: number | null;
      waitMaxNano?: number | null;
      waits?: Schemas["WaitBucket"][] | null;
    };
    SpanPlace: { traceId: string; spanId: string };
    Journey: {
      traces: Schemas["JourneyTrace"][];
      joins: Schemas["Join"][];
      groups: Schemas["JourneyGroup"][];
      origins: string[];
      waits: {
        carrier: string;
        resource?: string | null;
        messages: number;
        p50Nano: number;
        maxNano: number;
      }[];
      attempts: {
        service: string;
        deliveries: { attempt: number; traceId: string; spanId: string; failed: boolean }[];
      }[];
      refused: {
        from: Schemas["SpanPlace"];
        to: Schemas["SpanPlace"];
        reason: string;
        rejected?: Schemas["ByHand"] | null;
      }[];
      startTimeUnixNano: string;
      durationNano: number;
      truncated: boolean;
      limits: string[];
      complete: boolean;
      gaps: {
        kind: string;
        text: string;
        carrier?: string | null;
        resource?: string | null;
        messages?: number | null;
        traceId?: string | null;
      }[];
    };
    JourneyList: { journeys: Schemas["JourneySummary"][]; truncated: boolean };
    JourneySummary: {
      traceId: string;
      traces: number;
      spanCount: number;
      services: string[];
      rootService: string;
      rootName: string;
      environment: string | null;
      startTimeUnixNano: string;
      durationNano: number;
      workNano: number;
      waitNano: number;
      errorCount: number;
      carriers: string[];
      weakestClass: string | null;
      weakestConfidence: number | null;
      attempts: number;
      truncated: boolean;
    };
    JourneyTrace: {
      traceId: string;
      hops: number;
      onPath: boolean;
      sharedBy: number;
      spanCount: number;
      spans: Schemas["JourneySpan"][];
    };
    JourneySpan: {
      spanId: string;
      parentSpanId?: string | null;
      service: string;
      name: string;
      kind: string;
      startTimeUnixNano: string;
      durationNano?: number | null;
      error: boolean;
    };
    ByHand: { by: string; note: string; timeUnixNano: string };
    Join: {
      id: string;
      confirmed?: Schemas["ByHand"] | null;
      fromTraceId: string;
      fromSpanId: string;
      toTraceId: string;
      toSpanId: string;
      carrier: string;
      resource?: string | null;
      key: string;
      evidence: { what: string; produced?: string | null; consumed?: string | null }[];
      class: string;
      guess?: boolean;
      confidence: number;
      waitNano: number;
      attempt: number;
      index?: number | null;
      batchSize?: number | null;
      serverTimeUnixNano?: string | null;
      moved: boolean;
      replay: boolean;
      failed: boolean;
      hops: number;
      share: string;
      sharedBy: number;
      followed: boolean;
    };
    JourneyGroup: {
      traceId: string;
      carrier: string;
      resource?: string | null;
      reason: string;
      deliveries: number;
      failed: number;
      waitP50Nano: number;
      waitP99Nano: number;
      samples: Schemas["SpanPlace"][];
    };
    Diagnosis: {
      findings: Schemas["Finding"][];
      lookedAt: { traces: number; spans: number };
      truncated: boolean;
    };
    Finding: {
      id: string;
      kind: string;
      severity: "lost" | "partial" | "note";
      hop: { from: string | null; to: string | null; over: string; resource: string | null };
      title: string;
      seen: { from: Schemas["Sight"] | null; to: Schemas["Sight"] | null }[];
      why: string;
      unknown: string;
      class: string;
      count: number;
      good: number;
      sharePermille: number;
      firstSeenUnixNano: string;
      lastSeenUnixNano: string;
      lastGoodUnixNano: string | null;
      fix: { service: string | null; language: string; text: string; code: string }[];
      state: "open" | "healed";
    };
    Sight: {
      traceId: string;
      spanId: string;
      parentId: string;
      service: string;
      name: string;
      kind: string;
      startUnixNano: string;
      endUnixNano: string;
      shown: [string, string][];
    };
    OtlpTrace: {
      resourceSpans: {
        resource?: { attributes?: Schemas["OtlpAttribute"][] };
        scopeSpans?: { spans?: Schemas["OtlpSpan"][] }[];
      }[];
    };
    OtlpSpan: {
      spanId: string;
      attributes?: Schemas["OtlpAttribute"][];
      events?: { name?: string; timeUnixNano?: string; attributes?: Schemas["OtlpAttribute"][] }[];
      links?: { traceId: string; spanId: string }[];
    };
    OtlpAttribute: { key: string; value?: Schemas["OtlpValue"] };
    OtlpValue: {
      stringValue?: string;
      boolValue?: boolean;
      intValue?: string | number;
      doubleValue?: number | string;
      bytesValue?: string;
      arrayValue?: { values?: Schemas["OtlpValue"][] };
      kvlistValue?: { values?: Schemas["OtlpAttribute"][] };
    };
    TraceView: {
      traceId: string;
      startUnixNano: string;
      durationNano: number;
      rootService: string;
      rootName: string;
      environment: string | null;
      spanCount: number;
      errorCount: number;
      services: string[];
      names: string[];
      spans: {
        spanId: string[];
        parent: number[];
        missingParent: string[];
        service: number[];
        name: number[];
        kind: number[];
        status: number[];
        start: number[];
        duration: (number | null)[];
        events: number[];
        links: number[];
        statusMessage: string[];
      };
      eventTimes: number[][];
    };
    SpanDetail: {
      spanId: string;
      parentSpanId: string;
      traceId: string;
      name: string;
      kind: string;
      service: string;
      startUnixNano: string;
      durationNano: number | null;
      status: { code: string; message: string };
      traceState: string;
      flags: number;
      attributes: Schemas["Attribute"][];
      resource: Schemas["Attribute"][];
      scope: { name: string; version: string; attributes: Schemas["Attribute"][] };
      events: {
        name: string;
        timeUnixNano: string;
        offsetNano: number;
        attributes: Schemas["Attribute"][];
      }[];
      links: {
        traceId: string;
        spanId: string;
        traceState: string;
        attributes: Schemas["Attribute"][];
      }[];
      droppedAttributes: number;
      droppedEvents: number;
      droppedLinks: number;
    };
    TraceLogs: { records: Schemas["LogRecord"][]; total: number };
    LogRecord: {
      timeUnixNano: string;
      spanId: string;
      service: string;
      severity: "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "unspecified";
      severityNumber: number;
      severityText: string;
      eventName: string;
      body: unknown;
      attributes: Schemas["Attribute"][];
      scope: string;
    };
    Attribute: {
      key: string;
      type: "string" | "int" | "double" | "bool" | "bytes" | "array" | "map";
      value: unknown;
    };
    Keys: { attributes: { key: string; scope: string; types: string[]; spans: number }[] };
    Values: { values: { value: string; type: string; spans: number }[]; complete: boolean };
    Environments: { environments: string[] };
    Services: { services: (Red & { name: string; environments: string[] })[] };
    Operations: { operations: (Red & { name: string; kind: string })[] };
    EdgeMade: {
      operations: Schemas["Operations"]["operations"];
      calls: {
        traceId: string;
        spanId: string;
        name: string;
        kind: string;
        startTimeUnixNano: string;
        durationNano: number;
        failed: boolean;
      }[];
      traces: number;
      truncated: boolean;
    };
    RejectedList: { rejected: Schemas["Rejected"][] };
    Rejected: {
      timeUnixNano: string;
      protocol: string;
      reason: string;
      count: number;
      detail: string;
      document?: { code: string; id: string | null; head: string } | null;
    };
    Status: {
      version: string;
      startedUnixNano: string;
      ready: boolean;
      spans: number;
      traces: number;
      blocks: number;
      bytesOnDisk: number;
      oldestUnixNano: string;
      newestUnixNano: string;
      receivedSpans: number;
      rejectedSpans: number;
      kernelDroppedDatagrams: number;
      doors: { name: string; address: string }[];
      dataDirectory: string;
    };
  };
}
