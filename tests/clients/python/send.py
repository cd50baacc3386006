"""Sends the known spans with OpenTelemetry's own Python SDK: send.py grpc|http ENDPOINT SERVICE.

Prints their ids as one line of JSON. ../check.py says what the server must then answer.
"""

import json
import sys

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, format_span_id, format_trace_id

protocol, endpoint, service = sys.argv[1:]
if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from grpc import Compression

    exporter = OTLPSpanExporter(endpoint, insecure=True, compression=Compression.Gzip)
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    exporter = OTLPSpanExporter(endpoint, compression=Compression.Gzip)

resource = Resource.create({"service.name": service, "deployment.environment.name": "clients"})
provider = TracerProvider(resource=resource)
provider.add_span_processor(BatchSpanProcessor(exporter))
tracer = provider.get_tracer("known.spans", "1.2.3")

with tracer.start_as_current_span("checkout", kind=SpanKind.SERVER) as root:
    root.set_attributes(
        {"http.route": "/orders/{id}", "order.id": 42, "order.total": 9.5, "order.paid": False,
         "order.tags": ["new", "caf\u00e9"]}
    )
    link = Link(root.get_span_context(), {"link.why": "known"})
    with tracer.start_as_current_span("charge card", kind=SpanKind.CLIENT, links=[link]) as child:
        child.add_event("retry", {"attempt": 2})
        child.set_status(Status(StatusCode.ERROR, "card declined"))

stopped = provider.force_flush(20_000)
provider.shutdown()
print(json.dumps({
    "traceId": format_trace_id(root.get_span_context().trace_id),
    "root": format_span_id(root.get_span_context().span_id),
    "child": format_span_id(child.get_span_context().span_id),
}))
sys.exit(0 if stopped else 1)
