"""The sign-up workshop's web application, in Python: as app/app.js, with X-Ray's other SDK.

GET /           the page
POST /signup    email and name, as a form or as JSON; 409 when the address has signed up before

PORT            where it listens, 8081 by default; 0 takes any free one
FUNCTION_NAME   XrayReinventBuilderLambda by default
ONPREMISES_URL  a host elsewhere that is told of each sign-up; nobody is when it is unset
TRACES_URL      where traces can be seen, so that the page links to each: http://127.0.0.1:8900
"""

import html
import http.client
import json
import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import boto3
from aws_xray_sdk.core import patch, xray_recorder
from aws_xray_sdk.core.models import http as xray_http
from aws_xray_sdk.ext.util import construct_xray_header, inject_trace_header

# Every request of a workshop is kept; the SDK's own rule keeps one a second.
xray_recorder.configure(service="signup-app", plugins=("ElasticBeanstalkPlugin",), sampling=False)
patch(("boto3",))

FUNCTION_NAME = os.environ.get("FUNCTION_NAME", "XrayReinventBuilderLambda")
ONPREMISES_URL = os.environ.get("ONPREMISES_URL")
TRACES_URL = os.environ.get("TRACES_URL")
BODY_BYTES_MAX = 10_000
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "page.html"), encoding="utf-8") as file:
    PAGE = file.read()

# One client is enough for all threads; botocore finds its endpoint in AWS_ENDPOINT_URL.
functions = boto3.client("lambda", region_name=os.environ.get("AWS_REGION", "us-east-1"))


def page(level, text, trace_id):
    """The page with what happened last; `level` is a class of its style."""
    shown = f'<a href="{html.escape(TRACES_URL)}/t/{trace_id}">{trace_id}</a>' if TRACES_URL else trace_id
    said = text and f'<p class="{level}">{html.escape(text)}</p><p class="trace">Trace: {shown}</p>'
    return PAGE.replace("<!-- said -->", said)


def tell_onpremises(signup):
    """Tells the host elsewhere, with the trace header.

    The SDK's own patch of http.client would make three parts of one request, and put the header on none that has only a
    segment above it.
    """
    if not ONPREMISES_URL:
        return
    host = urlsplit(ONPREMISES_URL).netloc
    connection = http.client.HTTPConnection(host, timeout=10)
    with xray_recorder.in_subsegment(host, namespace="remote") as part:
        headers = {}
        inject_trace_header(headers, part)
        part.put_http_meta(xray_http.METHOD, "POST")
        part.put_http_meta(xray_http.URL, f"{ONPREMISES_URL}/welcome")
        try:
            connection.request("POST", "/welcome", json.dumps(signup), headers)
            answer = connection.getresponse()
            answer.read()
            part.put_http_meta(xray_http.STATUS, answer.status)
        except OSError as error:
            part.add_fault_flag()
            print("the host elsewhere was not reached:", error, file=sys.stderr)
        finally:
            connection.close()


def sign_up(signup):
    """Signs up; gives status, level and text."""
    answer = functions.invoke(FunctionName=FUNCTION_NAME, Payload=json.dumps(signup))
    payload = json.load(answer["Payload"])
    if "FunctionError" in answer:
        if payload.get("errorType") == "ConditionalCheckFailedException":
            return 409, "error", f"{signup['email']} has signed up before."
        return 502, "error", f"The sign-up failed: {payload.get('errorMessage')}."
    tell_onpremises(signup)
    return 200, "done", f"{signup['name'] or signup['email']} is signed up."


class Handler(BaseHTTPRequestHandler):
    """One request; each is a segment."""

    def fields(self):
        """The form's fields; raises ValueError when they cannot be read."""
        length = int(self.headers.get("content-length") or 0)
        if not 0 <= length <= BODY_BYTES_MAX:
            raise ValueError("the form is too long")
        body = self.rfile.read(length).decode()
        given = json.loads(body) if "json" in self.headers.get("content-type", "") else dict(parse_qsl(body))
        email, name = str(given.get("email", "")), str(given.get("name", ""))
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
            raise ValueError("an e-mail address is needed")
        return {"email": email, "name": name}

    def answered(self):
        """Status, level and text for the request."""
        if self.command == "GET" and self.path == "/":
            return 200, "done", ""
        if self.command != "POST" or self.path != "/signup":
            return 404, "error", "There is no such page."
        try:
            signup = self.fields()
        except (ValueError, AttributeError) as error:
            return 400, "error", f"That could not be read: {error}."
        try:
            return sign_up(signup)
        except Exception as error:  # whatever botocore says: the application goes on
            print("the function was not called:", error, file=sys.stderr)
            return 502, "error", "The sign-up service is not there."

    def handle_one(self):
        """Answers, within a segment that continues the caller's trace if there is one."""
        caller = construct_xray_header(self.headers)
        with xray_recorder.in_segment("signup-app", traceid=caller.root, parent_id=caller.parent, sampling=1) as segment:
            segment.put_http_meta(xray_http.METHOD, self.command)
            segment.put_http_meta(xray_http.URL, f"http://{self.headers.get('host', '')}{self.path}")
            segment.put_http_meta(xray_http.CLIENT_IP, self.client_address[0])
            status, level, text = self.answered()
            segment.put_http_meta(xray_http.STATUS, status)
            trace_id = segment.trace_id
        if "json" in self.headers.get("accept", ""):
            kind, body = "application/json", json.dumps({"message": text, "traceId": trace_id})
        else:
            kind, body = "text/html; charset=utf-8", page(level, text, trace_id)
        body = body.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = handle_one

    def log_message(self, *_):
        """Nothing: requests are in the trace."""


server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8081"))), Handler)
print(f"listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
