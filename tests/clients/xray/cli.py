"""The AWS CLI, pointed at the server with one environment variable."""

import json
import os
import subprocess
import sys
import tempfile

from documents import BASE, segment, storefront, trace_id
from world import XrayTest, aws_environment

AWS = os.path.join(os.path.dirname(sys.executable), "aws")
RANGE = ("--start-time", str(int(BASE) - 60), "--end-time", str(int(BASE) + 600))
RULE = {"RuleName": "cli", "ResourceARN": "*", "Priority": 9, "FixedRate": 0.5, "ReservoirSize": 1,
        "ServiceName": "*", "ServiceType": "*", "Host": "*", "HTTPMethod": "*", "URLPath": "*", "Version": 1}


class Cli(XrayTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        documents = [json.dumps(document) for document in storefront()]
        documents += [json.dumps(segment(f"cli {number}", "many", 10 + number * 0.25, 0.25))
                      for number in range(1100)]
        for start in range(0, len(documents), 300):
            cls.run_cli("put-trace-segments", "--trace-segment-documents", *documents[start:start + 300])

    @classmethod
    def call(cls, *arguments):
        """The exit code, the output read as JSON, and what went to stderr."""
        done = subprocess.run([AWS, "xray", *arguments, "--output", "json"], capture_output=True, text=True,
                              env={**os.environ, **aws_environment(cls.server.doors)}, timeout=120, check=False)
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else {}, done.stderr

    @classmethod
    def run_cli(cls, *arguments):
        code, answer, error = cls.call(*arguments)
        assert code == 0, f"aws xray {arguments[0]}: exit code {code}: {error}"
        return answer

    def test_summaries_are_paged_by_the_cli_itself(self):
        answer = self.run_cli("get-trace-summaries", *RANGE, "--filter-expression", 'service("many")')
        self.assertEqual(len({summary["Id"] for summary in answer["TraceSummaries"]}), 1100)
        some = self.run_cli("get-trace-summaries", *RANGE, "--max-items", "7")
        self.assertEqual(len(some["TraceSummaries"]), 7)
        more = self.run_cli("get-trace-summaries", *RANGE, "--max-items", "7", "--starting-token", some["NextToken"])
        both = {summary["Id"] for summary in some["TraceSummaries"] + more["TraceSummaries"]}
        self.assertEqual(len(both), 14)

    def test_a_query_of_the_cli_works_on_the_answer(self):
        ids = self.run_cli("get-trace-summaries", *RANGE, "--filter-expression", 'user = "alice"',
                           "--query", "TraceSummaries[].Id")
        self.assertEqual(ids, [trace_id("storefront")])

    def test_traces_and_graphs(self):
        answer = self.run_cli("batch-get-traces", "--trace-ids", trace_id("storefront"))
        self.assertGreaterEqual(len(answer["Traces"][0]["Segments"]), 5)
        for command in (["get-service-graph", *RANGE], ["get-trace-graph", "--trace-ids", trace_id("storefront")]):
            names = {service["Name"] for service in self.run_cli(*command)["Services"]}
            self.assertLessEqual({"storefront", "orders", "receipts", "SNS"}, names)
        series = self.run_cli("get-time-series-service-statistics", *RANGE, "--period", "60",
                              "--entity-selector-expression", 'service("many")')
        counts = [bucket["ServiceSummaryStatistics"]["TotalCount"] for bucket in series["TimeSeriesServiceStatistics"]]
        self.assertEqual(sum(counts), 1100)

    def test_groups_rules_tags_and_encryption(self):
        group = self.run_cli("create-group", "--group-name", "cli", "--filter-expression", "fault",
                             "--tags", "Key=a,Value=b")["Group"]
        tags = self.run_cli("list-tags-for-resource", "--resource-arn", group["GroupARN"])["Tags"]
        self.assertEqual(tags, [{"Key": "a", "Value": "b"}])
        self.assertIn("cli", {found["GroupName"] for found in self.run_cli("get-groups")["Groups"]})
        self.run_cli("delete-group", "--group-arn", group["GroupARN"])
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"SamplingRule": RULE}, file)
            file.flush()
            self.run_cli("create-sampling-rule", "--cli-input-json", f"file://{file.name}")
        names = [record["SamplingRule"]["RuleName"] for record in self.run_cli("get-sampling-rules")["SamplingRuleRecords"]]
        self.assertLessEqual({"cli", "Default"}, set(names))
        self.run_cli("delete-sampling-rule", "--rule-name", "cli")
        self.assertEqual(self.run_cli("get-encryption-config")["EncryptionConfig"]["Type"], "NONE")
        self.run_cli("put-telemetry-records", "--telemetry-records", f"Timestamp={int(BASE)},SegmentsReceivedCount=1")

    def test_a_mistake_is_told_and_ends_with_its_code(self):
        code, _, said = self.call("get-trace-summaries", *RANGE, "--filter-expression", "fault = = true")
        self.assertEqual(code, 255)
        self.assertIn("InvalidRequestException", said)
        self.assertIn("GetTraceSummaries", said)
        code, _, said = self.call("get-group", "--group-name", "nobody")
        self.assertEqual(code, 255)
        self.assertIn("InvalidRequestException", said)
