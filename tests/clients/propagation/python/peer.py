"""Calls and is called with OpenTelemetry's own Python propagators: peer.py SETS [OTLP_URL].

SETS is a JSON list of texts as OTEL_PROPAGATORS has them. Each set gets a port of its own on
loopback; the ports are printed as one line of JSON. ../pairings.py says what is asked.
"""

import json
import os
import random
import sys
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import entry_points
from threading import Thread

from opentelemetry import trace
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Getter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.trace import format_span_id, format_trace_id


def propagator(names):
    """What opentelemetry.propagate makes of OTEL_PROPAGATORS: entry points, in order."""
    found = []
    for name in names.split(","):
        (entry,) = entry_points(group="opentelemetry_propagator", name=name)
        found.append(entry.load()())
    return CompositePropagator(found)


class Headers(Getter):
    """Reads headers without regard to case, as the getters of WSGI and ASGI do."""

    def get(self, carrier, key):
        return carrier.get_all(key)

    def keys(self, carrier):
        return list(carrier.keys())


class Set:
    def __init__(self, names, otlp_url):
        self.propagator = propagator(names)
        self.provider = TracerProvider(resource=Resource.create({
            "service.name": f"python {names}", "deployment.environment.name": "propagation"}))
        if otlp_url:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.trace.export import BatchSpanProcessor

            self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(otlp_url)))
        self.tracer = self.provider.get_tracer("propagation")

    def call(self, url, mode, ago_s):
        """One call, of a root or below a span that came from elsewhere, sampled or not."""
        parent = None
        if mode != "root":
            flags = TraceFlags(TraceFlags.SAMPLED if mode == "sampled" else 0)
            came = SpanContext(random.getrandbits(128), random.getrandbits(64), is_remote=True,
                               trace_flags=flags, trace_state=TraceState([("vendor", "kept")]))
            parent = trace.set_span_in_context(NonRecordingSpan(came))
        to = urllib.parse.urlsplit(url)
        span = self.tracer.start_span("GET", context=parent, kind=SpanKind.CLIENT, start_time=now(ago_s), attributes={
            "http.request.method": "GET", "url.full": url, "server.address": to.hostname, "server.port": to.port})
        headers = {}
        self.propagator.inject(headers, trace.set_span_in_context(span))
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            callee = json.load(answer)
        span.end(now(ago_s))
        return {"caller": told(span), "callee": callee}

    def work(self, path, headers, host, ago_s):
        """The answering side: a span below whatever the propagator finds."""
        context = self.propagator.extract(headers, getter=Headers())
        address, _, port = host.partition(":")
        span = self.tracer.start_span("GET /work", context=context, kind=SpanKind.SERVER, start_time=now(ago_s), attributes={
            "http.request.method": "GET", "url.path": path, "server.address": address, "server.port": int(port)})
        span.end(now(ago_s))
        parent = trace.get_current_span(context).get_span_context()
        return {**told(span), "parentId": format_span_id(parent.span_id) if parent.is_valid else ""}


def now(ago_s):
    return time.time_ns() - ago_s * 1_000_000_000


def told(span):
    """What a span is, and when where it is recorded."""
    context = span.get_span_context()
    return {"start": str(getattr(span, "start_time", "")), "end": str(getattr(span, "end_time", "")),
            "traceId": format_trace_id(context.trace_id), "spanId": format_span_id(context.span_id),
            "sampled": bool(context.trace_flags.sampled), "state": context.trace_state.get("vendor", "")}


def handler(of_set):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            url = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(url.query))
            ago_s = int(query.get("ago", 0))
            if url.path == "/call":
                said = of_set.call(query["url"], query["mode"], ago_s)
            elif url.path == "/flush":
                said = of_set.provider.force_flush(20_000)
            else:
                said = of_set.work(url.path, self.headers, self.headers["host"], ago_s)
            body = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


otlp_url = sys.argv[2] if len(sys.argv) > 2 else None
servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler(Set(names, otlp_url))) for names in json.loads(sys.argv[1])]
for server in servers:
    Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps([server.server_address[1] for server in servers]), flush=True)
sys.stdin.read()  # until whoever started this closes it
os._exit(0)
