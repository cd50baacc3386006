// Calls and is called with OpenTelemetry's own Node propagators: peer.js SETS [OTLP_URL].
//
// SETS is a JSON list of texts as OTEL_PROPAGATORS has them. Each set gets a port of its own on
// loopback; the ports are printed as one line of JSON. ../pairings.py says what is asked.
"use strict";
const http = require("node:http");
const { randomBytes } = require("node:crypto");
const api = require("@opentelemetry/api");
const core = require("@opentelemetry/core");
const { AWSXRayPropagator } = require("@opentelemetry/propagator-aws-xray");
const { B3InjectEncoding, B3Propagator } = require("@opentelemetry/propagator-b3");
const { JaegerPropagator } = require("@opentelemetry/propagator-jaeger");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { BatchSpanProcessor, NodeTracerProvider } = require("@opentelemetry/sdk-trace-node");

// What the SDK makes of each name of OTEL_PROPAGATORS.
const PROPAGATORS = {
  tracecontext: () => new core.W3CTraceContextPropagator(),
  baggage: () => new core.W3CBaggagePropagator(),
  b3: () => new B3Propagator(),
  b3multi: () => new B3Propagator({ injectEncoding: B3InjectEncoding.MULTI_HEADER }),
  jaeger: () => new JaegerPropagator(),
  xray: () => new AWSXRayPropagator(),
};

const sets = JSON.parse(process.argv[2]);
const otlpUrl = process.argv[3];

function makeSet(names) {
  const spanProcessors = [];
  if (otlpUrl) {
    const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-proto");
    spanProcessors.push(new BatchSpanProcessor(new OTLPTraceExporter({ url: otlpUrl })));
  }
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({
      "service.name": `node ${names}`,
      "deployment.environment.name": "propagation",
      "telemetry.sdk.language": "nodejs",
    }),
    spanProcessors,
  });
  const propagator = new core.CompositePropagator({
    propagators: names.split(",").map((name) => PROPAGATORS[name]()),
  });
  return { provider, propagator, tracer: provider.getTracer("propagation") };
}

const now = (agoS) => new Date(Date.now() - agoS * 1000);

const nanos = (time) => (time ? String(BigInt(time[0]) * 1_000_000_000n + BigInt(time[1])) : "");

// What a span is, and when where it is recorded.
function told(span) {
  const context = span.spanContext();
  return {
    start: nanos(span.startTime),
    end: nanos(span.endTime),
    traceId: context.traceId,
    spanId: context.spanId,
    sampled: (context.traceFlags & api.TraceFlags.SAMPLED) !== 0,
    state: context.traceState?.get("vendor") ?? "",
  };
}

// One call, of a root or below a span that came from elsewhere, sampled or not.
async function call({ propagator, tracer }, url, mode, agoS) {
  let parent = api.ROOT_CONTEXT;
  if (mode !== "root") {
    parent = api.trace.setSpanContext(parent, {
      traceId: randomBytes(16).toString("hex"),
      spanId: randomBytes(8).toString("hex"),
      traceFlags: mode === "sampled" ? api.TraceFlags.SAMPLED : api.TraceFlags.NONE,
      traceState: api.createTraceState("vendor=kept"),
      isRemote: true,
    });
  }
  const to = new URL(url);
  const attributes = {
    "http.request.method": "GET",
    "url.full": url,
    "server.address": to.hostname,
    "server.port": Number(to.port),
  };
  const options = { kind: api.SpanKind.CLIENT, startTime: now(agoS), attributes };
  const span = tracer.startSpan("GET", options, parent);
  const headers = {};
  propagator.inject(api.trace.setSpan(parent, span), headers, api.defaultTextMapSetter);
  const callee = await (await fetch(url, { headers })).json();
  span.end(now(agoS));
  return { caller: told(span), callee };
}

// The answering side: a span below whatever the propagator finds.
function work({ propagator, tracer }, path, headers, agoS) {
  const context = propagator.extract(api.ROOT_CONTEXT, headers, api.defaultTextMapGetter);
  const [address, port] = headers.host.split(":");
  const attributes = {
    "http.request.method": "GET",
    "url.path": path,
    "server.address": address,
    "server.port": Number(port),
  };
  const options = { kind: api.SpanKind.SERVER, startTime: now(agoS), attributes };
  const span = tracer.startSpan("GET /work", options, context);
  span.end(now(agoS));
  const parent = api.trace.getSpanContext(context);
  return { ...told(span), parentId: parent?.spanId ?? "" };
}

function serve(set) {
  return http.createServer(async (request, response) => {
    try {
      const url = new URL(request.url, `http://${request.headers.host}`);
      const agoS = Number(url.searchParams.get("ago") ?? 0);
      let said;
      if (url.pathname === "/call") {
        said = await call(set, url.searchParams.get("url"), url.searchParams.get("mode"), agoS);
      } else if (url.pathname === "/flush") {
        await set.provider.forceFlush();
        said = true;
      } else {
        said = work(set, url.pathname, request.headers, agoS);
      }
      response.end(JSON.stringify(said));
    } catch (error) {
      response.statusCode = 500;
      response.end(String(error));
    }
  });
}

async function main() {
  const ports = [];
  for (const names of sets) {
    const server = serve(makeSet(names));
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    ports.push(server.address().port);
  }
  console.log(JSON.stringify(ports));
}

process.stdin.on("end", () => process.exit(0)).resume();
main();
