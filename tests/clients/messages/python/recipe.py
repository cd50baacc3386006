"""What OpenTelemetry's instrumentation of botocore sees of messages, and its spans do not say.

    BotocoreInstrumentor().instrument(request_hook=ask, response_hook=answer)

    for message in sqs.receive_message(..., MessageSystemAttributeNames=["AWSTraceHeader"])["Messages"]:
        with tracer.start_as_current_span("pack", links=links(message)) as span:
            span.set_attribute("stitch.in", inside(message))
"""

import json

from opentelemetry.propagators.aws import AwsXRayPropagator
from opentelemetry.trace import Link, get_current_span


def ask(span, service, operation, params):
    """The stream of a call that names one, of GetRecords its ARN; the bus of events."""
    stream = params.get("StreamName") or params.get("StreamARN")
    buses = {entry.get("EventBusName", "default") for entry in params.get("Entries", [])}
    if service == "kinesis" and stream:
        span.set_attribute("aws.kinesis.stream_name", stream)
    elif service == "events" and len(buses) == 1:
        span.set_attribute("aws.eventbridge.event_bus.name", buses.pop())


def answer(span, service, operation, result):
    """The id that the broker gave each message, 256 a span."""
    result = result or {}
    if service == "kinesis" and "SequenceNumber" in result:
        span.set_attribute("aws.kinesis.sequence_number", result["SequenceNumber"])
    elif service == "kinesis" and "Records" in result:
        span.set_attribute("aws.kinesis.sequence_number", [r.get("SequenceNumber", "") for r in result["Records"]])
    elif service == "events" and "Entries" in result:
        span.set_attribute("aws.eventbridge.event_id", [e.get("EventId", "") for e in result["Entries"]])
    elif service == "sns" and "MessageId" in result:
        span.set_attribute("messaging.message.id", result["MessageId"])
    elif service in ("sqs", "sns"):
        name = "stitch.in" if operation == "ReceiveMessage" else "stitch.out"
        messages = result.get("Messages") or result.get("Successful") or []
        span.set_attribute(name, [f"{service}|||{m['MessageId']}" for m in messages])


def links(message):
    """A link of a message of SQS to the call that sent it, by the header that every AWS call has."""
    header = message.get("Attributes", {}).get("AWSTraceHeader", "")
    sent = get_current_span(AwsXRayPropagator().extract({"X-Amzn-Trace-Id": header})).get_span_context()
    said = {"messaging.system": "aws_sqs", "messaging.message.id": message["MessageId"]}
    return [Link(sent, said)] if sent.is_valid else []


def inside(message):
    """The ids of a message of SQS and of what it holds: a notification of SNS, an event of EventBridge."""
    ids = [f"sqs|||{message['MessageId']}"]
    try:
        body = json.loads(message["Body"])
    except ValueError:
        return ids
    if isinstance(body, dict) and body.get("Type") == "Notification":
        ids.append(f"sns||{body['TopicArn']}|{body['MessageId']}")
    elif isinstance(body, dict) and "detail-type" in body:
        ids.append(f"eventbridge|{body['region']}||{body['id']}")
    return ids
