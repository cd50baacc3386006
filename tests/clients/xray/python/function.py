"""A Lambda function with the X-Ray SDK for Python, in the environment that Lambda makes."""

import json

from aws_xray_sdk.core import xray_recorder

with xray_recorder.in_subsegment("outer") as outer:
    outer.put_annotation("which", "outer")
    with xray_recorder.in_subsegment("inner") as inner:
        inner.put_annotation("which", "inner")
print(json.dumps({"outer": outer.id, "inner": inner.id, "trace": outer.trace_id}))
