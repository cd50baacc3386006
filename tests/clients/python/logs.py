"""Logs with Python's own logging inside a span, through OpenTelemetry's handler: logs.py grpc|http ENDPOINT SERVICE.

Prints the ids of the span as one line of JSON. ../check.py says what the server must then answer.
"""

import json
import logging
import sys

from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import format_span_id, format_trace_id

protocol, endpoint, service = sys.argv[1:]
if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter

    exporter = OTLPLogExporter(endpoint, insecure=True)
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    exporter = OTLPLogExporter(endpoint)

resource = Resource.create({"service.name": service})
provider = LoggerProvider(resource=resource)
provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
logger = logging.getLogger("known.logs")
logger.setLevel(logging.DEBUG)
logger.addHandler(LoggingHandler(logger_provider=provider))

with TracerProvider(resource=resource).get_tracer("known.logs").start_as_current_span("work") as span:
    logger.debug("begun")
    logger.warning("low on %s", "sugar", extra={"shelf": 3})
    try:
        raise ValueError("no sugar left")
    except ValueError:
        logger.exception("gave up")
logger.info("of no trace")

sent = provider.force_flush(20_000)
provider.shutdown()
print(json.dumps({
    "traceId": format_trace_id(span.get_span_context().trace_id),
    "span": format_span_id(span.get_span_context().span_id),
}))
sys.exit(0 if sent else 1)
