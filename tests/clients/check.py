"""Real exporters against the real binary: what they send is what the server answers.

THROUGHLINE_BIN names the binary; ./run prepares the exporters and calls this.
"""

import json
import os
import shutil
import subprocess
import sys
import unittest

from server import Server

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER = None


def setUpModule():
    global SERVER
    SERVER = Server(os.environ["THROUGHLINE_BIN"])


def tearDownModule():
    code = SERVER.stop()
    assert code == 0, f"the server ended with {code}"


def run(command, folder=HERE, **environment):
    """Runs an exporter and gives its last line, which has the ids it sent, and all it said."""
    done = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, text=True,
                          capture_output=True, timeout=120, check=False)
    said = f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    if done.returncode != 0:
        raise AssertionError(f"exit code {done.returncode} of {said}")
    ids = [line for line in done.stdout.splitlines() if line.startswith('{"traceId"')]
    return json.loads(ids[-1]) if ids else None, said


def attributes(holder):
    return {attribute["key"]: attribute["value"] for attribute in holder.get("attributes", [])}


class Clients(unittest.TestCase):
    maxDiff = None

    def check_known_spans(self, protocol, service, command, environment=None, **variables):
        before = SERVER.span_counts(protocol)
        sent, said = run(command, **variables)
        self.assertIsNotNone(sent, said)
        after = SERVER.span_counts(protocol)
        self.assertEqual(after["stored"] - before["stored"], 2, f"{before} {after} {said}")

        body = SERVER.get_json(f"/api/v1/traces/{sent['traceId']}")
        self.assertEqual(len(body["resourceSpans"]), 1)
        group = body["resourceSpans"][0]
        self.assertEqual(attributes(group["resource"])["service.name"], {"stringValue": service})
        (scope,) = group["scopeSpans"]
        self.assertEqual(scope["scope"]["name"], "known.spans")
        self.assertEqual(scope["scope"]["version"], "1.2.3")
        spans = {span["spanId"]: span for span in scope["spans"]}
        self.assertEqual(set(spans), {sent["root"], sent["child"]})
        self.check_root(spans[sent["root"]])
        self.check_child(spans[sent["child"]], sent)
        self.check_search(service, sent, environment)

    def check_root(self, root):
        self.assertEqual((root["name"], root["kind"]), ("checkout", 2))
        self.assertEqual(root.get("parentSpanId", ""), "")
        self.assertLessEqual(int(root["startTimeUnixNano"]), int(root["endTimeUnixNano"]))
        found = attributes(root)
        for key, value in {
            "http.route": {"stringValue": "/orders/{id}"},
            "order.id": {"intValue": "42"},
            "order.total": {"doubleValue": 9.5},
            "order.paid": {"boolValue": False},
            "order.tags": {"arrayValue": {"values": [{"stringValue": "new"}, {"stringValue": "caf\u00e9"}]}},
        }.items():
            self.assertEqual(found.get(key), value, key)

    def check_child(self, child, sent):
        self.assertEqual((child["name"], child["kind"]), ("charge card", 3))
        self.assertEqual(child["parentSpanId"], sent["root"])
        self.assertEqual(child["status"], {"code": 2, "message": "card declined"})
        (event,) = child["events"]
        self.assertEqual(event["name"], "retry")
        self.assertEqual(attributes(event), {"attempt": {"intValue": "2"}})
        (link,) = child["links"]
        self.assertEqual((link["traceId"], link["spanId"]), (sent["traceId"], sent["root"]))
        self.assertEqual(attributes(link), {"link.why": {"stringValue": "known"}})

    def check_search(self, service, sent, environment):
        q = f'service = "{service}" and order.id = 42 and http.route ~ "/orders/.*"'
        query = {"q": q, "environment": environment} if environment else {"q": q}
        (found,) = SERVER.get_json("/api/v1/search", **query)["traces"]
        self.assertEqual(found["traceId"], sent["traceId"])
        self.assertEqual((found["rootService"], found["rootName"]), (service, "checkout"))
        self.assertEqual((found["spanCount"], found["errorCount"]), (2, 1))

    def test_python_grpc_gzip(self):
        service = "python-grpc"
        command = [sys.executable, "python/send.py", "grpc", SERVER.doors["otlp_grpc"], service]
        self.check_known_spans("otlp_grpc", service, command, "clients")

    def test_python_http_gzip(self):
        service = "python-http"
        url = f"http://{SERVER.doors['otlp_http']}/v1/traces"
        command = [sys.executable, "python/send.py", "http", url, service]
        self.check_known_spans("otlp_http", service, command, "clients")

    def test_node_json(self):
        service = "node-json"
        command = ["node", "node/send.js", "json", f"{SERVER.url}/v1/traces", service]
        self.check_known_spans("otlp_http", service, command, "clients")

    def test_node_protobuf_gzip(self):
        service = "node-protobuf"
        url = f"http://{SERVER.doors['otlp_http']}/v1/traces"
        command = ["node", "node/send.js", "protobuf", url, service]
        self.check_known_spans("otlp_http", service, command, "clients")

    def test_splunk(self):
        token = "a-token-that-must-not-be-logged"
        self.check_known_spans(
            "otlp_http", "splunk-node", folder=os.path.join(HERE, "node"),
            command=["node", "-r", "@splunk/otel/instrument", "splunk.js"],
            OTEL_SERVICE_NAME="splunk-node", SPLUNK_ACCESS_TOKEN=token,
            OTEL_EXPORTER_OTLP_TRACES_PROTOCOL="http/protobuf", SPLUNK_METRICS_ENABLED="false",
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{SERVER.url}/v2/trace/otlp",
            OTEL_TRACES_EXPORTER="otlp", OTEL_LOGS_EXPORTER="none", OTEL_METRICS_EXPORTER="none")
        self.assertNotIn(token, SERVER.log())

    def test_python_logs_grpc(self):
        self.check_python_logs("grpc", SERVER.doors["otlp_grpc"])

    def test_python_logs_http(self):
        self.check_python_logs("http", f"http://{SERVER.doors['otlp_http']}/v1/logs")

    def check_python_logs(self, protocol, endpoint):
        service = f"python-logs-{protocol}"
        sent, said = run([sys.executable, "python/logs.py", protocol, endpoint, service])
        self.assertIsNotNone(sent, said)
        answer = SERVER.get_json(f"/api/v1/traces/{sent['traceId']}/logs")
        self.assertEqual(answer["total"], 3)
        self.assertEqual([(record["severity"], record["body"]) for record in answer["records"]],
                         [("debug", "begun"), ("warn", "low on sugar"), ("error", "gave up")])
        for record in answer["records"]:
            self.assertEqual((record["spanId"], record["service"], record["scope"]),
                             (sent["span"], service, "known.logs"))
        found = [{a["key"]: a["value"] for a in record["attributes"]} for record in answer["records"]]
        self.assertEqual(found[1]["shelf"], 3)
        self.assertEqual(found[2]["exception.message"], "no sugar left")
        self.assertIn("Traceback", found[2]["exception.stacktrace"])

    def test_telemetrygen_logs(self):
        program = os.environ.get("TELEMETRYGEN") or shutil.which("telemetrygen")
        if not program:
            self.skipTest("no telemetrygen: Go, or its module proxy, is missing")
        for number, (flags, door) in enumerate([(["--otlp-http"], "otlp_http"), ([], "otlp_grpc")], 1):
            trace_id, span_id = f"{number:032x}", f"{number:016x}"
            run([program, "logs", *flags, "--otlp-insecure", "--otlp-endpoint", SERVER.doors[door],
                 "--logs", "20", "--rate", "0", "--service", "telemetrygen-logs", "--body", f"line {number}",
                 "--trace-id", trace_id, "--span-id", span_id])
            answer = SERVER.get_json(f"/api/v1/traces/{trace_id}/logs")
            self.assertEqual(answer["total"], 20)
            self.assertEqual({(r["body"], r["spanId"]) for r in answer["records"]}, {(f"line {number}", span_id)})

    def test_telemetrygen_http(self):
        self.check_telemetrygen("telemetrygen-http", "otlp_http", ["--otlp-http"])

    def test_telemetrygen_grpc(self):
        self.check_telemetrygen("telemetrygen-grpc", "otlp_grpc", [])

    def check_telemetrygen(self, service, protocol, flags):
        program = os.environ.get("TELEMETRYGEN") or shutil.which("telemetrygen")
        if not program:
            self.skipTest("no telemetrygen: Go, or its module proxy, is missing")
        before = SERVER.span_counts(protocol)
        run([program, "traces", *flags, "--otlp-insecure", "--otlp-endpoint", SERVER.doors[protocol],
             "--traces", "20", "--child-spans", "3", "--rate", "0", "--service", service,
             "--telemetry-attributes", 'run.label="first"'])
        after = SERVER.span_counts(protocol)
        self.assertEqual(after["stored"] - before["stored"], 80)
        answer = SERVER.get_json("/api/v1/search", q=f'service = "{service}" and run.label = first', limit=100)
        self.assertEqual({trace["spanCount"] for trace in answer["traces"]}, {4})
        self.assertEqual(len(answer["traces"]), 20)

    def test_zz_nothing_got_lost_between_received_and_stored(self):
        # The name puts it last: unittest runs in alphabetical order.
        for protocol, what in [(p, w) for p in ("otlp_http", "otlp_grpc") for w in ("spans", "log_records")]:
            counts = SERVER.counts(protocol, what)
            total = counts["stored"] + counts["rejected"] + counts["dropped"]
            self.assertEqual(counts["received"], total, f"{what} {protocol}: {counts}")


if __name__ == "__main__":
    program = unittest.main(verbosity=2, exit=False)
    result = program.result
    failed = len(result.failures) + len(result.errors)
    for test, why in result.skipped:
        print(f"SKIPPED {test.id()}: {why}")
    passed = result.testsRun - failed - len(result.skipped)
    print(f"{passed} passed, {failed} failed, {len(result.skipped)} skipped")
    sys.exit(1 if failed else 0)
