"""An application that sends or takes messages with boto3, traced by AWS's X-Ray SDK.

`serve` runs in a process of its own, as peer.py's does.
"""

import os

from aws_xray_sdk.core import patch, xray_recorder
from aws_xray_sdk.core.emitters.udp_emitter import UDPEmitter

import peer


class Ago(UDPEmitter):
    """Sends segments with all their times moved into the past."""

    def __init__(self, address, ago_s):
        super().__init__(address)
        self.ago_s = ago_s

    def send_entity(self, entity):
        shift(entity, self.ago_s)
        super().send_entity(entity)


def shift(entity, ago_s):
    entity.start_time -= ago_s
    entity.end_time -= ago_s
    for below in entity.subsegments:
        shift(below, ago_s)


class Peer:
    def __init__(self, role, xray_address, aws_url, ago_s):
        xray_recorder.configure(service=role["service"], sampling=False, emitter=Ago(xray_address, ago_s))
        patch(("botocore",))
        self.aws_url, self.clients, self.ago_s = aws_url, {}, ago_s

    client = peer.Peer.client

    def call(self, name, service, operation, **arguments):
        """One call inside a segment, and what it was answered."""
        with xray_recorder.in_segment() as segment:
            result = getattr(self.client(service), operation)(**arguments)
        return {**told(segment), "result": result}

    def take(self, name, queue, count, each="pack", **arguments):
        """Receives until it has some messages, and works on each in a subsegment of its own."""
        sqs, done = self.client("sqs"), []
        with xray_recorder.in_segment() as segment:
            while len(done) < count:
                messages = sqs.receive_message(QueueUrl=queue, **arguments).get("Messages", [])
                if not messages:
                    raise AssertionError(f"{len(done)} of {count} messages came out of {queue}")
                for message in messages:
                    with xray_recorder.in_subsegment(each):
                        done.append({"message": dict(message)})
                    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return {**told(segment), "messages": done}

    def flush(self):
        """A segment is sent when it ends."""


def told(segment):
    return {"traceId": segment.trace_id.replace("1-", "", 1).replace("-", ""), "spanId": segment.id}


def serve(asked, *of_peer):
    peer.answer(asked, Peer(*of_peer))
