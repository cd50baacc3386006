"""An application that sends or takes messages with boto3, traced by OpenTelemetry's own instrumentation.

`serve` runs in a process of its own; cases.py says what it is asked. Its spans are exported as if
everything had happened `ago_s` seconds ago, so that the doctor takes the traces for whole.
"""

import os
from importlib.metadata import entry_points

import boto3
from botocore.config import Config
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.boto3sqs import Boto3SQSInstrumentor
from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, format_span_id, format_trace_id

import recipe


class Ago(SpanExporter):
    """Exports spans with all their times moved into the past."""

    def __init__(self, exporter, ago_s):
        self.exporter, self.ago_nano = exporter, ago_s * 1_000_000_000

    def export(self, spans):
        for span in spans:
            span._start_time -= self.ago_nano
            span._end_time -= self.ago_nano
        return self.exporter.export(spans)

    def shutdown(self):
        self.exporter.shutdown()

    def force_flush(self, timeout_millis=30_000):
        return self.exporter.force_flush(timeout_millis)


class Peer:
    def __init__(self, role, otlp_url, aws_url, ago_s):
        self.provider = TracerProvider(resource=Resource.create({
            "service.name": role["service"], "deployment.environment.name": role["environment"]}))
        self.provider.add_span_processor(BatchSpanProcessor(Ago(OTLPSpanExporter(otlp_url), ago_s)))
        self.tracer = self.provider.get_tracer("application")
        names = role["propagators"]
        propagate.set_global_textmap(CompositePropagator([
            entry.load()() for name in names for entry in entry_points(group="opentelemetry_propagator", name=name)]))
        hooks = {"request_hook": recipe.ask, "response_hook": recipe.answer} if "recipe" in role["tracers"] else {}
        if "boto3sqs" in role["tracers"]:
            Boto3SQSInstrumentor().instrument(tracer_provider=self.provider)
        if "botocore" in role["tracers"]:
            BotocoreInstrumentor().instrument(tracer_provider=self.provider, **hooks)
        self.aws_url, self.clients = aws_url, {}

    def client(self, service):
        if service not in self.clients:
            self.clients[service] = boto3.client(
                service, endpoint_url=self.aws_url, region_name="us-east-1", aws_access_key_id="test",
                aws_secret_access_key="test", config=Config(retries={"total_max_attempts": 1}, read_timeout=30))
        return self.clients[service]

    def call(self, name, service, operation, **arguments):
        """One call inside a span of the application's, and what it was answered."""
        with self.tracer.start_as_current_span(name, kind=SpanKind.SERVER) as span:
            result = getattr(self.client(service), operation)(**arguments)
        return {**told(span), "result": result}

    def take(self, name, queue, count, each="pack", delete=True, link=False, inside=False, **arguments):
        """Receives until it has some messages, and works on each in a span of its own.

        With `link` and `inside` these spans are made as the recipe says.
        """
        sqs, done = self.client("sqs"), []
        with self.tracer.start_as_current_span(name) as span:
            while len(done) < count:
                messages = sqs.receive_message(QueueUrl=queue, **arguments).get("Messages", [])
                if not messages:
                    raise AssertionError(f"{len(done)} of {count} messages came out of {queue}")
                for message in messages:
                    links = recipe.links(message) if link else []
                    with self.tracer.start_as_current_span(each, links=links) as work:
                        if inside:
                            work.set_attribute("stitch.in", recipe.inside(message))
                        done.append({**told(work), "message": dict(message)})
                    if delete:
                        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return {**told(span), "messages": done}

    def flush(self):
        return self.provider.force_flush(20_000)


def told(span):
    context = span.get_span_context()
    return {"traceId": format_trace_id(context.trace_id), "spanId": format_span_id(context.span_id)}


def serve(asked, *of_peer):
    answer(asked, Peer(*of_peer))


def answer(asked, peer):
    """Answers commands, a method's name and its arguments, until the other end closes."""
    while True:
        try:
            name, arguments = asked.recv()
        except EOFError:
            os._exit(0)
        try:
            asked.send((getattr(peer, name)(**arguments), None))
        except Exception as error:  # The runner says which case it was.
            asked.send((None, f"{type(error).__name__}: {error}"))
