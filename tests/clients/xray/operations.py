"""boto3 calls all 38 operations; `world.check_answer` holds each answer against AWS's model."""

import datetime
import json
import unittest

from botocore.exceptions import ClientError

from documents import BASE, alone, segment, storefront, subsegment, trace_id
from world import ANSWERED, XrayTest

START, END = BASE - 60, BASE + 120
RULE = {"RuleName": "orders", "ResourceARN": "*", "Priority": 7, "FixedRate": 0.25, "ReservoirSize": 3,
        "ServiceName": "storefront", "ServiceType": "*", "Host": "*", "HTTPMethod": "POST",
        "URLPath": "/orders/*", "Version": 1}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "xray:*",
     "Resource": "*"}]})


class Operations(XrayTest):
    """The answers to right questions, one test for each family."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        texts = [json.dumps(document) for document in storefront()]
        cls.put_answer = cls.xray.put_trace_segments(TraceSegmentDocuments=texts)

    def refused(self, code, call, **query):
        with self.assertRaises(ClientError) as caught:
            call(**query)
        error = caught.exception.response["Error"]
        self.assertEqual(error["Code"], code, error)
        self.assertTrue(error["Message"])
        return error["Message"]

    def test_put_trace_segments(self):
        self.assertEqual(self.put_answer["UnprocessedTraceSegments"], [])

    def test_put_trace_segments_returns_the_bad_ones_alone(self):
        good = segment("put-good", "storefront", 60, 1)
        bad = {**segment("put-bad", "storefront", 60, 1), "trace_id": "1-x-y"}
        nameless = {key: value for key, value in bad.items() if key != "id"}
        texts = [json.dumps(bad), json.dumps(good), json.dumps(nameless), "{", "7"]
        answer = self.xray.put_trace_segments(TraceSegmentDocuments=texts)
        first, *others = answer["UnprocessedTraceSegments"]
        self.assertEqual((first["Id"], first["ErrorCode"]), (bad["id"], "InvalidTraceId"))
        self.assertIn("InvalidTraceId", first["Message"])
        self.assertEqual(len(others), 3)
        self.assertFalse(any("Id" in other for other in others))
        self.assertEqual(list(self.trace(trace_id("put-good"))), [good["id"]])

    def test_put_trace_segments_takes_an_array_of_subsegments(self):
        trace = "put-array"
        parent = segment(trace, "storefront", 60, 1)
        inner = [alone(trace, subsegment(trace, f"step {number}", 60, 0.5), "storefront") for number in (1, 2)]
        self.put(parent, inner)
        (document,) = self.trace(trace_id(trace)).values()
        self.assertEqual({child["name"] for child in document["subsegments"]}, {"step 1", "step 2"})

    def test_put_telemetry_records(self):
        self.xray.put_telemetry_records(
            TelemetryRecords=[{"Timestamp": datetime.datetime.now(datetime.timezone.utc),
                               "SegmentsReceivedCount": 1, "SegmentsSentCount": 1,
                               "SegmentsSpilloverCount": 0, "SegmentsRejectedCount": 0,
                               "BackendConnectionErrors": {"TimeoutCount": 0, "OtherCount": 0}}],
            Hostname="a-host", EC2InstanceId="i-0123456789abcdef", ResourceARN="arn:aws:x")

    def test_get_trace_summaries(self):
        answer = self.xray.get_trace_summaries(
            StartTime=START, EndTime=END, TimeRangeType="Event", Sampling=True,
            SamplingStrategy={"Name": "FixedRate", "Value": 1.0},
            FilterExpression='service("storefront") AND user = "alice"')
        (found,) = answer["TraceSummaries"]
        self.assertGreaterEqual(answer["TracesProcessedCount"], 1)
        self.assertIn("ApproximateTime", answer)
        self.assertEqual(found["Id"], trace_id("storefront"))
        self.assertEqual((found["Duration"], found["ResponseTime"]), (4.0, 4.0))
        flags = {key: found[key] for key in ("HasFault", "HasError", "HasThrottle", "IsPartial")}
        self.assertEqual(set(flags.values()), {False}, flags)
        self.assertEqual(found["Http"], {
            "HttpURL": "http://storefront.example/orders", "HttpStatus": 201, "HttpMethod": "POST",
            "UserAgent": "curl/8", "ClientIp": "198.51.100.7"})
        values = {key: [entry["AnnotationValue"] for entry in entries]
                  for key, entries in found["Annotations"].items()}
        self.assertEqual(values, {"size": [{"NumberValue": 3.0}], "gift": [{"BooleanValue": False}],
                                  "theme": [{"StringValue": "dark"}]})
        self.assertEqual([user["UserName"] for user in found["Users"]], ["alice"])
        self.assertEqual(found["EntryPoint"]["Name"], "storefront")
        self.assertEqual(found["EntryPoint"]["Type"], "AWS::EC2::Instance")
        self.assertEqual(found["InstanceIds"], [{"Id": "i-0123456789abcdef0"}])
        self.assertEqual(found["AvailabilityZones"], [{"Name": "us-east-1c"}])
        self.assertIn({"ARN": "arn:aws:lambda:us-east-1:000000000000:function:receipts"}, found["ResourceARNs"])
        services = {(service["Name"], service["Type"]) for service in found["ServiceIds"]}
        self.assertLessEqual({("storefront", "AWS::EC2::Instance"), ("receipts", "AWS::Lambda"),
                              ("receipts", "AWS::Lambda::Function")}, services)
        self.assertIn("ResponseTimeRootCauses", found)

    def test_time_range_types_say_which_time_counts(self):
        trace = "time-ranges"
        self.put(segment(trace, "long runner", 1000, 100))
        for kind, start, end, expected in [
                ("TraceId", 990, 1010, 1), ("TraceId", 1040, 1060, 0), ("TraceId", 1090, 1110, 0),
                ("Event", 990, 1010, 1), ("Event", 1040, 1060, 1), ("Event", 1090, 1110, 1),
                ("Service", 990, 1010, 0), ("Service", 1040, 1060, 0), ("Service", 1090, 1110, 1)]:
            found = self.summaries(BASE + start, BASE + end, TimeRangeType=kind)
            self.assertEqual(len(found), expected, f"{kind} {start} {end}")

    def test_batch_get_traces(self):
        unknown = "1-00000000-000000000000000000000001"
        answer = self.xray.batch_get_traces(TraceIds=[trace_id("storefront"), unknown])
        self.assertEqual(answer["UnprocessedTraceIds"], [unknown])
        (trace,) = answer["Traces"]
        self.assertEqual((trace["Id"], trace["Duration"]), (trace_id("storefront"), 4.0))
        self.assertFalse(trace.get("LimitExceeded", False))

    def test_get_service_graph_and_trace_graph(self):
        answer = self.xray.get_service_graph(StartTime=START, EndTime=BASE + 50, GroupName="Default")
        self.assertFalse(answer["ContainsOldGroupVersions"])
        self.assertLessEqual(answer["StartTime"].timestamp(), BASE)
        nodes = {(node["Name"], node["Type"]) for node in answer["Services"]}
        expected = {("storefront", "client"), ("storefront", "AWS::EC2::Instance"),
                    ("orders", "AWS::DynamoDB::Table"), ("SNS", "AWS::SNS"),
                    ("receipts", "AWS::Lambda"), ("receipts", "AWS::Lambda::Function")}
        self.assertEqual(nodes, expected)
        traced = self.xray.get_trace_graph(TraceIds=[trace_id("storefront")])
        self.assertEqual({(node["Name"], node["Type"]) for node in traced["Services"]}, expected)

    def test_get_time_series_service_statistics(self):
        range_ = {"StartTime": START, "EndTime": BASE + 50, "Period": 60}
        edges = self.xray.get_time_series_service_statistics(**range_)["TimeSeriesServiceStatistics"]
        self.assertTrue(edges)
        self.assertTrue(all("EdgeSummaryStatistics" in bucket for bucket in edges))
        chosen = self.xray.get_time_series_service_statistics(
            EntitySelectorExpression='service(id(name: "storefront", type: "AWS::EC2::Instance"))', **range_)
        (bucket,) = chosen["TimeSeriesServiceStatistics"]
        statistics = bucket["ServiceSummaryStatistics"]
        self.assertEqual((statistics["TotalCount"], statistics["OkCount"]), (1, 1))
        self.assertEqual(statistics["TotalResponseTime"], 4.0)
        called = self.xray.get_time_series_service_statistics(
            EntitySelectorExpression='edge("storefront", "orders")', **range_)
        (bucket,) = called["TimeSeriesServiceStatistics"]
        self.assertEqual(bucket["EdgeSummaryStatistics"]["TotalResponseTime"], 0.5)

    def test_sampling_rules_live_and_die(self):
        record = self.xray.create_sampling_rule(
            SamplingRule=RULE, Tags=[{"Key": "team", "Value": "shop"}])["SamplingRuleRecord"]
        rule = record["SamplingRule"]
        arn = rule["RuleARN"]
        self.assertTrue(arn.endswith(":sampling-rule/orders"), arn)
        self.assertEqual({key: rule[key] for key in RULE}, RULE)
        self.assertEqual(rule["Attributes"], {})
        self.refused("InvalidRequestException", self.xray.create_sampling_rule, SamplingRule=RULE)
        changed = self.xray.update_sampling_rule(SamplingRuleUpdate={"RuleName": "orders", "FixedRate": 0.5})
        self.assertEqual(changed["SamplingRuleRecord"]["SamplingRule"]["FixedRate"], 0.5)
        self.refused("InvalidRequestException", self.xray.update_sampling_rule,
                     SamplingRuleUpdate={"RuleName": "orders", "RuleARN": arn, "FixedRate": 0.5})
        self.refused("InvalidRequestException", self.xray.update_sampling_rule,
                     SamplingRuleUpdate={"RuleName": "nobody's", "FixedRate": 0.5})
        gone = self.xray.delete_sampling_rule(RuleARN=arn)["SamplingRuleRecord"]["SamplingRule"]
        self.assertEqual(gone["RuleName"], "orders")
        self.refused("InvalidRequestException", self.xray.delete_sampling_rule, RuleName="orders")

    def test_the_default_rule_stays(self):
        records = self.xray.get_sampling_rules()["SamplingRuleRecords"]
        (default,) = [record["SamplingRule"] for record in records
                      if record["SamplingRule"]["RuleName"] == "Default"]
        self.assertEqual((default["Priority"], default["ResourceARN"], default["Version"]), (10000, "*", 1))
        self.assertEqual(default["Attributes"], {})
        self.refused("InvalidRequestException", self.xray.delete_sampling_rule, RuleName="Default")
        self.refused("InvalidRequestException", self.xray.update_sampling_rule,
                     SamplingRuleUpdate={"RuleName": "Default", "Host": "example.com"})
        changed = self.xray.update_sampling_rule(
            SamplingRuleUpdate={"RuleName": "Default", "FixedRate": 0.1, "ReservoirSize": 2})
        self.assertEqual(changed["SamplingRuleRecord"]["SamplingRule"]["ReservoirSize"], 2)

    def test_get_sampling_targets_and_statistics(self):
        def report(rule, client, requests):
            return {"RuleName": rule, "ClientID": client * 12, "Timestamp": 1_795_000_000,
                    "RequestCount": requests, "SampledCount": 1, "BorrowCount": 1}
        answer = self.xray.get_sampling_targets(SamplingStatisticsDocuments=[
            report("Default", "ab", 10), report("Default", "cd", 30), report("unknown", "ab", 1)])
        self.assertTrue(answer["LastRuleModification"])
        targets = answer["SamplingTargetDocuments"]
        self.assertEqual({target["RuleName"] for target in targets}, {"Default"})
        for target in targets:
            self.assertEqual(target["Interval"] % 10, 0)
            self.assertIn("FixedRate", target)
        (bad,) = answer["UnprocessedStatistics"]
        self.assertEqual(bad["RuleName"], "unknown")
        summaries = self.xray.get_sampling_statistic_summaries()["SamplingStatisticSummaries"]
        ours = [summary for summary in summaries if summary["RuleName"] == "Default"]
        self.assertEqual(sum(summary["RequestCount"] for summary in ours), 40)
        self.assertEqual(sum(summary["BorrowCount"] for summary in ours), 2)

    def test_groups_live_and_die(self):
        created = self.xray.create_group(
            GroupName="slow", FilterExpression="responsetime > 2",
            InsightsConfiguration={"InsightsEnabled": True, "NotificationsEnabled": False})["Group"]
        arn = created["GroupARN"]
        self.assertRegex(arn, r"^arn:aws:xray:us-east-1:\d{12}:group/slow/\w+$")
        self.refused("InvalidRequestException", self.xray.create_group, GroupName="slow")
        self.refused("InvalidRequestException", self.xray.create_group, GroupName="Default")
        self.assertEqual(self.xray.get_group(GroupARN=arn)["Group"]["FilterExpression"], "responsetime > 2")
        self.xray.update_group(GroupName="slow", FilterExpression="responsetime > 3")
        self.assertEqual(self.xray.get_group(GroupName="slow")["Group"]["FilterExpression"], "responsetime > 3")
        groups = {group["GroupName"]: group for group in self.xray.get_groups()["Groups"]}
        self.assertLessEqual({"Default", "slow"}, set(groups))
        self.assertNotIn("FilterExpression", groups["Default"])
        grouped = self.graph(START, BASE + 50, GroupName="slow")
        self.assertIn("storefront", {node["Name"] for node in grouped})
        message = self.refused("InvalidRequestException", self.xray.update_group,
                               GroupName="slow", FilterExpression="responsetime >")
        self.assertTrue(message)
        self.xray.delete_group(GroupName="slow")
        self.refused("InvalidRequestException", self.xray.get_group, GroupName="slow")
        self.refused("InvalidRequestException", self.xray.delete_group, GroupName="Default")

    def test_tags(self):
        arn = self.xray.create_group(GroupName="tagged", Tags=[{"Key": "a", "Value": "1"}])["Group"]["GroupARN"]
        self.xray.tag_resource(ResourceARN=arn, Tags=[{"Key": "b", "Value": ""}])
        tags = self.xray.list_tags_for_resource(ResourceARN=arn)["Tags"]
        self.assertEqual({tag["Key"]: tag["Value"] for tag in tags}, {"a": "1", "b": ""})
        self.xray.untag_resource(ResourceARN=arn, TagKeys=["a", "never there"])
        (tag,) = self.xray.list_tags_for_resource(ResourceARN=arn)["Tags"]
        self.assertEqual(tag["Key"], "b")
        many = [{"Key": f"k{number}", "Value": "v"} for number in range(60)]
        self.refused("TooManyTagsException", self.xray.tag_resource, ResourceARN=arn, Tags=many)
        self.refused("ResourceNotFoundException", self.xray.list_tags_for_resource, ResourceARN=arn + "x")

    def test_encryption(self):
        config = self.xray.get_encryption_config()["EncryptionConfig"]
        self.assertEqual((config["Type"], config["Status"]), ("NONE", "ACTIVE"))
        changed = self.xray.put_encryption_config(Type="KMS", KeyId="alias/aws/xray")["EncryptionConfig"]
        self.assertEqual((changed["Type"], changed["KeyId"]), ("KMS", "alias/aws/xray"))
        self.assertEqual(self.xray.get_encryption_config()["EncryptionConfig"]["Type"], "KMS")
        self.xray.put_encryption_config(Type="NONE")

    def test_resource_policies(self):
        made = self.xray.put_resource_policy(
            PolicyName="topics", PolicyDocument=POLICY, BypassPolicyLockoutCheck=True)["ResourcePolicy"]
        self.assertEqual(json.loads(made["PolicyDocument"]), json.loads(POLICY))
        again = self.xray.put_resource_policy(
            PolicyName="topics", PolicyDocument=POLICY, PolicyRevisionId=made["PolicyRevisionId"])["ResourcePolicy"]
        self.assertNotEqual(again["PolicyRevisionId"], made["PolicyRevisionId"])
        self.refused("InvalidPolicyRevisionIdException", self.xray.put_resource_policy,
                     PolicyName="topics", PolicyDocument=POLICY, PolicyRevisionId="0")
        self.refused("MalformedPolicyDocumentException", self.xray.put_resource_policy,
                     PolicyName="other", PolicyDocument="{")
        self.refused("PolicySizeLimitExceededException", self.xray.put_resource_policy,
                     PolicyName="other", PolicyDocument=json.dumps({"Version": "x" * 6000}))
        for number in range(4):
            self.xray.put_resource_policy(PolicyName=f"p{number}", PolicyDocument=POLICY)
        self.refused("PolicyCountLimitExceededException", self.xray.put_resource_policy,
                     PolicyName="one-too-many", PolicyDocument=POLICY)
        names = {policy["PolicyName"] for policy in self.xray.list_resource_policies()["ResourcePolicies"]}
        self.assertEqual(names, {"topics", "p0", "p1", "p2", "p3"})
        self.refused("InvalidPolicyRevisionIdException", self.xray.delete_resource_policy,
                     PolicyName="topics", PolicyRevisionId="nonsense")
        for name in names:
            self.xray.delete_resource_policy(PolicyName=name)

    def test_insights_are_empty_but_answer(self):
        listed = self.xray.get_insight_summaries(StartTime=START, EndTime=END, GroupName="Default")
        self.assertEqual(listed["InsightSummaries"], [])
        some = "11111111-2222-3333-4444-555555555555"
        for call, query in [
                (self.xray.get_insight, {}), (self.xray.get_insight_events, {}),
                (self.xray.get_insight_impact_graph, {"StartTime": START, "EndTime": END})]:
            try:
                call(InsightId=some, **query)
            except ClientError as error:
                self.assertEqual(error.response["Error"]["Code"], "InvalidRequestException")

    def test_trace_retrieval(self):
        token = self.xray.start_trace_retrieval(
            TraceIds=[trace_id("storefront")], StartTime=START, EndTime=END)["RetrievalToken"]
        for form in ("XRAY", "OTEL"):
            answer = self.xray.list_retrieved_traces(RetrievalToken=token, TraceFormat=form)
            self.assertEqual((answer["RetrievalStatus"], answer["TraceFormat"]), ("COMPLETE", form))
            (trace,) = answer["Traces"]
            self.assertEqual((trace["Id"], trace["Duration"]), (trace_id("storefront"), 4.0))
            for span in trace["Spans"]:
                document = json.loads(span["Document"])
                if form == "OTEL":
                    (group,) = document["resourceSpans"]
                    (scope,) = group["scopeSpans"]
                    (otel,) = scope["spans"]
                    self.assertEqual(otel["spanId"], span["Id"])
                else:
                    self.assertEqual(document["id"], span["Id"])
        graph = self.xray.get_retrieved_traces_graph(RetrievalToken=token)
        self.assertEqual(graph["RetrievalStatus"], "COMPLETE")
        self.assertIn("storefront", {entry["Service"]["Name"] for entry in graph["Services"]})
        self.xray.cancel_trace_retrieval(RetrievalToken=token)
        for call in (self.xray.list_retrieved_traces, self.xray.get_retrieved_traces_graph,
                     self.xray.cancel_trace_retrieval):
            self.refused("ResourceNotFoundException", call, RetrievalToken="never given out")

    def test_indexing_rules_and_destination(self):
        (rule,) = self.xray.get_indexing_rules()["IndexingRules"]
        self.assertEqual(rule["Name"], "Default")
        self.assertEqual(rule["Rule"]["Probabilistic"]["DesiredSamplingPercentage"], 100.0)
        changed = self.xray.update_indexing_rule(
            Name="Default", Rule={"Probabilistic": {"DesiredSamplingPercentage": 50.0}})["IndexingRule"]
        self.assertEqual(changed["Rule"]["Probabilistic"]["DesiredSamplingPercentage"], 50.0)
        self.refused("ResourceNotFoundException", self.xray.update_indexing_rule,
                     Name="other", Rule={"Probabilistic": {"DesiredSamplingPercentage": 50.0}})
        place = self.xray.get_trace_segment_destination()
        self.assertEqual((place["Destination"], place["Status"]), ("XRay", "ACTIVE"))
        moved = self.xray.update_trace_segment_destination(Destination="CloudWatchLogs")
        self.assertEqual(moved["Destination"], "CloudWatchLogs")
        self.xray.update_trace_segment_destination(Destination="XRay")

    def test_zz_every_operation_was_answered(self):
        # The name puts it last: unittest runs in alphabetical order.
        operations = set(self.xray.meta.service_model.operation_names)
        self.assertEqual(len(operations), 38)
        may_refuse = {"GetInsight", "GetInsightEvents", "GetInsightImpactGraph"}  # no insight exists
        self.assertEqual(operations - set(ANSWERED) - may_refuse, set())


class Pages(XrayTest):
    """Paginators end, lose nothing and give nothing twice."""

    TRACES = 2300

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        texts = [json.dumps(segment(f"page {number}", "pager", number * 0.5, 0.25))
                 for number in range(cls.TRACES)]
        for start in range(0, len(texts), 500):
            answer = cls.xray.put_trace_segments(TraceSegmentDocuments=texts[start:start + 500])
            assert answer["UnprocessedTraceSegments"] == []

    def test_summaries_come_newest_first_and_once(self):
        pages = list(self.xray.get_paginator("get_trace_summaries").paginate(StartTime=START, EndTime=BASE + 3600))
        self.assertGreater(len(pages), 1)
        for page in pages:
            self.assertLessEqual(len(page["TraceSummaries"]), 1000)
            self.assertLessEqual(len(page.get("NextToken", "")), 100)
        ids = [summary["Id"] for page in pages for summary in page["TraceSummaries"]]
        self.assertEqual(len(ids), self.TRACES)
        self.assertEqual(ids, [trace_id(f"page {number}") for number in reversed(range(self.TRACES))])

    def test_fixed_rate_sampling_is_the_same_each_time(self):
        tenth = self.sample(0.1)
        self.assertEqual(tenth, self.sample(0.1))
        self.assertTrue(0.05 < len(tenth) / self.TRACES < 0.15, len(tenth))
        self.assertLessEqual(tenth, self.sample(0.5))
        self.assertEqual(len(self.sample(1.0)), self.TRACES)

    def sample(self, rate):
        found = self.summaries(START, BASE + 3600, Sampling=True, TimeRangeType="Event",
                               SamplingStrategy={"Name": "FixedRate", "Value": rate})
        return {summary["Id"] for summary in found}

    def test_every_paginator_ends(self):
        some = [trace_id(f"page {number}") for number in range(100)]
        range_ = {"StartTime": START, "EndTime": BASE + 3600}
        for name, query in [
                ("batch_get_traces", {"TraceIds": some}), ("get_service_graph", range_),
                ("get_trace_graph", {"TraceIds": some}), ("get_groups", {}), ("get_sampling_rules", {}),
                ("get_sampling_statistic_summaries", {}), ("list_resource_policies", {}),
                ("get_time_series_service_statistics", {**range_, "Period": 60}),
                ("list_tags_for_resource", {"ResourceARN": self.xray.get_groups()["Groups"][0]["GroupARN"]})]:
            pages = list(self.xray.get_paginator(name).paginate(**query))
            self.assertGreaterEqual(len(pages), 1, name)
        pages = self.xray.get_paginator("batch_get_traces").paginate(TraceIds=some)
        self.assertEqual(sorted(trace["Id"] for page in pages for trace in page["Traces"]), sorted(some))

    def test_the_graph_counts_every_trace(self):
        (client, root) = sorted(self.graph(START, BASE + 3600), key=lambda node: node["Type"] != "client")
        self.assertEqual(root["SummaryStatistics"]["TotalCount"], self.TRACES)
        self.assertEqual(root["SummaryStatistics"]["TotalResponseTime"], self.TRACES * 0.25)
        self.assertEqual(client["Edges"][0]["SummaryStatistics"], root["SummaryStatistics"])

    def test_buckets_of_the_time_series_add_up(self):
        series = self.xray.get_time_series_service_statistics(
            StartTime=BASE - 40, EndTime=BASE + 3600, Period=60,
            EntitySelectorExpression='service("pager")')["TimeSeriesServiceStatistics"]
        counts = [bucket["ServiceSummaryStatistics"]["TotalCount"] for bucket in series]
        self.assertEqual(sum(counts), self.TRACES)
        self.assertNotIn(0, counts)
        times = [bucket["Timestamp"].timestamp() for bucket in series]
        self.assertEqual(times, sorted(times))


if __name__ == "__main__":
    unittest.main()
