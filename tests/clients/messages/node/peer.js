// An application that sends or takes messages with the AWS SDK, traced by its OpenTelemetry
// instrumentation: peer.js ROLE OTLP_URL AWS_URL AGO_S.
//
// ROLE is JSON: service, environment, propagators. Reads one JSON command a line, [method,
// arguments], and answers each with one line; ../cases.py says what is asked. Spans are exported as
// if everything had happened AGO_S seconds ago.
"use strict";

const readline = require("node:readline");
const { propagation, trace, SpanKind } = require("@opentelemetry/api");
const { OTLPTraceExporter } = require("@opentelemetry/exporter-trace-otlp-proto");
const { AwsInstrumentation } = require("@opentelemetry/instrumentation-aws-sdk");
const { resourceFromAttributes } = require("@opentelemetry/resources");
const { BatchSpanProcessor, NodeTracerProvider } = require("@opentelemetry/sdk-trace-node");

const [otlpUrl, endpoint] = process.argv.slice(3);
const [role, agoSeconds] = [JSON.parse(process.argv[2]), Number(process.argv[5])];

/** Exports spans with all their times moved into the past. */
class Ago extends OTLPTraceExporter {
  export(spans, done) {
    for (const span of spans) {
      for (const time of [span.startTime, span.endTime]) time[0] -= agoSeconds;
    }
    super.export(spans, done);
  }
}

const processor = new BatchSpanProcessor(new Ago({ url: otlpUrl }));
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ "service.name": role.service, "deployment.environment.name": role.environment }),
  spanProcessors: [processor],
});
// With no propagator named nothing is sent along, as with OTEL_PROPAGATORS=none.
provider.register(role.propagators.length ? {} : { propagator: null });
new AwsInstrumentation(role.tracers.includes("recipe") ? { responseHook: require("./recipe.js") } : {});

// Not before: the instrumentation changes what is loaded after it.
const { KinesisClient, ...kinesis } = require("@aws-sdk/client-kinesis");
const { SNSClient, ...sns } = require("@aws-sdk/client-sns");
const { SQSClient, ...sqs } = require("@aws-sdk/client-sqs");
const { NodeHttpHandler } = require("@smithy/node-http-handler");

const settings = {
  endpoint, region: "us-east-1", credentials: { accessKeyId: "test", secretAccessKey: "test" }, maxAttempts: 1,
  // Kinesis would speak HTTP/2, which moto does not.
  requestHandler: new NodeHttpHandler(),
};
const clients = { kinesis: new KinesisClient(settings), sns: new SNSClient(settings), sqs: new SQSClient(settings) };
const commands = { ...kinesis, ...sns, ...sqs };
const tracer = trace.getTracer("application");

function told(span) {
  const { traceId, spanId } = span.spanContext();
  return { traceId, spanId };
}

function within(name, kind, work) {
  return tracer.startActiveSpan(name, { kind }, async (span) => {
    try {
      return { ...told(span), ...(await work(span)) };
    } finally {
      span.end();
    }
  });
}

const methods = {
  /** One call inside a span of the application's, and what it was answered. */
  call({ name, service, operation, ...input }) {
    if (input.Records) input.Records = input.Records.map((record) => ({ ...record, Data: Buffer.from(record.Data) }));
    const command = new commands[`${operation}Command`](input);
    return within(name, SpanKind.SERVER, async () => ({ result: await clients[service].send(command) }));
  },

  /** Receives until it has some messages, and works on each in a span of its own. */
  take({ name, queue, count, each = "pack", ...more }) {
    return within(name, SpanKind.INTERNAL, async () => {
      const messages = [];
      while (messages.length < count) {
        const answer = await clients.sqs.send(new commands.ReceiveMessageCommand({ QueueUrl: queue, ...more }));
        if (!answer.Messages?.length) throw new Error(`${messages.length} of ${count} messages came out of ${queue}`);
        for (const message of answer.Messages) {
          messages.push(await within(each, SpanKind.INTERNAL, async () => ({ message })));
          const { ReceiptHandle } = message;
          await clients.sqs.send(new commands.DeleteMessageCommand({ QueueUrl: queue, ReceiptHandle }));
        }
      }
      return { messages };
    });
  },

  async flush() {
    await processor.forceFlush();
    return {};
  },
};

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [name, input] = JSON.parse(line);
    let answer;
    try {
      answer = [await methods[name](input), null];
    } catch (error) {
      answer = [null, `${error.name}: ${error.message}`];
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
})();
