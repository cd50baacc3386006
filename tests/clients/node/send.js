// Sends the known spans with OpenTelemetry's own Node SDK: send.js json|protobuf ENDPOINT SERVICE.
"use strict";
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { BatchSpanProcessor, NodeTracerProvider } = require("@opentelemetry/sdk-trace-node");
const makeSpans = require("./spans");

const [protocol, url, service] = process.argv.slice(2);
const { OTLPTraceExporter } = require(
  protocol === "json"
    ? "@opentelemetry/exporter-trace-otlp-http"
    : "@opentelemetry/exporter-trace-otlp-proto",
);
const compression = protocol === "json" ? "none" : "gzip";
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({
    "service.name": service,
    "deployment.environment.name": "clients",
  }),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url, compression }))],
});
provider.register();
makeSpans();
provider.shutdown().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
