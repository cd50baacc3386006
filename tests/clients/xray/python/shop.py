"""A program with the X-Ray SDK for Python as people write it: shop.py STUB_URL.

It answers no one; it only makes the segments that a request would make: a DynamoDB call through
boto3, a query of sqlite, an HTTP request, an exception. Prints what it sent as one line of JSON.
"""

import json
import sqlite3
import sys
import threading
import time
import urllib.request

from aws_xray_sdk.core import patch, xray_recorder

stub = sys.argv[1]
patch(["botocore", "sqlite3", "httplib"])
xray_recorder.configure(service="py-shop", context_missing="LOG_ERROR")
sampler = xray_recorder.sampler
pause = threading.Event()
deadline = time.monotonic() + 25


def until(condition, what):
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"{what}: not in time")
        pause.wait(0.02)


def decide(path):
    return sampler.should_trace({"host": "py-shop.test", "method": "GET", "path": path, "service": "py-shop"})


def serve(path, fails):
    """One request, as a framework's middleware treats it. Gives its trace id, or None."""
    rule = decide(path)
    segment = xray_recorder.begin_segment("py-shop", sampling=1 if rule else 0)
    if rule:
        segment.set_rule_name(rule)
    segment.put_http_meta("method", "GET")
    segment.put_http_meta("url", f"http://py-shop.test{path}")
    segment.put_annotation("customer", "ada")
    segment.put_metadata("cart", {"items": [1, 2.5, None]}, "shop")
    try:
        with xray_recorder.in_subsegment("price list"):
            dynamodb.get_item(TableName="prices", Key={"id": {"S": "1"}})
            memory = sqlite3.connect(":memory:")
            memory.execute("select 1")
            memory.close()
            with urllib.request.urlopen(f"{stub}/stock") as answer:
                answer.read()
            if fails:
                raise ValueError("out of stock")
    except ValueError:
        segment.put_http_meta("status", 500)
    else:
        segment.put_http_meta("status", 200)
    xray_recorder.end_segment()
    return segment.trace_id if rule else None


sampler.start()
until(lambda: sampler._cache.rules, "sampling rules")
import boto3  # noqa: E402  after patch(), as its documentation asks

dynamodb = boto3.client("dynamodb", endpoint_url=stub, region_name="us-east-1")
sent = [serve("/orders", fails=number == 3) for number in range(4)]
unsampled = [serve("/health", fails=False) for _ in range(20)]
rules = {rule.name: rule for rule in sampler._cache.rules}
matched = rules["py-shop orders"]
until(lambda: matched.reservoir.quota is not None, "a quota from the sampling targets")
print(json.dumps({"traces": sent, "unsampled": [trace for trace in unsampled if trace],
                  "rules": sorted(rules), "quota": matched.reservoir.quota, "rate": matched.rate}))
