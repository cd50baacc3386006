// Makes the known spans with whatever tracer is set up. ../check.py says what the server must answer.
"use strict";
const { context, SpanKind, SpanStatusCode, trace } = require("@opentelemetry/api");

module.exports = function makeSpans() {
  const tracer = trace.getTracer("known.spans", "1.2.3");
  const root = tracer.startSpan("checkout", {
    kind: SpanKind.SERVER,
    attributes: {
      "http.route": "/orders/{id}",
      "order.id": 42,
      "order.total": 9.5,
      "order.paid": false,
      "order.tags": ["new", "caf\u00e9"],
    },
  });
  const links = [{ context: root.spanContext(), attributes: { "link.why": "known" } }];
  const inRoot = trace.setSpan(context.active(), root);
  const child = tracer.startSpan("charge card", { kind: SpanKind.CLIENT, links }, inRoot);
  child.addEvent("retry", { attempt: 2 });
  child.setStatus({ code: SpanStatusCode.ERROR, message: "card declined" });
  child.end();
  root.end();
  const { traceId, spanId } = root.spanContext();
  console.log(JSON.stringify({ traceId, root: spanId, child: child.spanContext().spanId }));
};
