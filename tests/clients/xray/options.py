"""What the server does differently when it is told to: signatures, strictness, the account."""

import json
import os
import tempfile

from botocore.exceptions import ClientError

from documents import BASE, segment, subsegment, trace_id
from world import XrayTest, check_error, post, xray_client


class Signatures(XrayTest):
    """`--xray-keys`: only callers who sign with a known key are answered."""

    @classmethod
    def setUpClass(cls):
        handle, cls.keys = tempfile.mkstemp(text=True)
        with os.fdopen(handle, "w") as file:
            file.write("KNOWNKEY a-secret\nOTHERKEY b/secret+with=signs\n")
        cls.flags = ("--xray-keys", cls.keys)
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        os.remove(cls.keys)

    def client(self, key, secret, place="xray"):
        address = self.server.doors[place] + ("/xray" if place == "http" else "")
        return xray_client(address, aws_access_key_id=key, aws_secret_access_key=secret)

    def test_boto3_with_a_known_key_is_answered(self):
        document = json.dumps(segment("signed", "signed", 0, 1, user="d\u00e9j\u00e0 vu"))
        for key, secret in (("KNOWNKEY", "a-secret"), ("OTHERKEY", "b/secret+with=signs")):
            for place in ("xray", "http"):
                client = self.client(key, secret, place)
                self.assertIn("Groups", client.get_groups())
                client.get_encryption_config()  # signed with an empty body
                client.put_trace_segments(TraceSegmentDocuments=[document])
                client.close()

    def test_others_are_not(self):
        for key, secret in (("KNOWNKEY", "b-secret"), ("NOBODY", "a-secret"), ("test", "test")):
            client = self.client(key, secret)
            with self.assertRaises(ClientError) as caught:
                client.get_groups()
            self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 403)
            client.close()
        for headers in ({}, {"Authorization": "AWS4-HMAC-SHA256 Credential=KNOWNKEY"}):
            status, answered, body = post(f"http://{self.server.doors['xray']}/Groups", b"{}", headers)
            check_error("GetGroups", status, answered, body)
            self.assertEqual(status, 403)

    def test_a_changed_body_does_not_pass(self):
        def change(request, **_):
            request.body = b'{"GroupName": "other"}'
        client = self.client("KNOWNKEY", "a-secret")
        client.meta.events.register("before-send.xray", change)
        with self.assertRaises(ClientError):
            client.create_group(GroupName="first")
        client.close()

    def test_sdks_still_poll_and_send_unsigned(self):
        status, _, body = post(f"http://{self.server.doors['xray']}/GetSamplingRules", b"{}")
        self.assertEqual((status, b"Default" in body), (200, True))
        self.send(segment("unsigned", "unsigned", 0, 1))


class Strict(XrayTest):
    """`--xray-strict`: what AWS refuses is refused, whole."""

    flags = ("--xray-strict",)

    def test_documents_that_are_kept_otherwise_come_back(self):
        whole = segment("strict", "outer", 0, 1)
        nested = segment("strict", "nested", 0, 1, subsegments=[subsegment("strict", "inner", 0, 1)])
        del nested["subsegments"][0]["end_time"]
        for document, code in [
                ({**whole, "name": "x" * 201}, "InvalidName"), ({**whole, "name": "a?b"}, "InvalidName"),
                ({key: value for key, value in whole.items() if key != "end_time"}, "MissingEndTime"),
                (nested, "MissingEndTime")]:
            answer = self.xray.put_trace_segments(TraceSegmentDocuments=[json.dumps(document)])
            (refused,) = answer["UnprocessedTraceSegments"]
            self.assertEqual(refused["ErrorCode"], code)
        answer = self.xray.batch_get_traces(TraceIds=[trace_id("strict")])
        self.assertEqual(answer["Traces"], [])
        self.put(whole)


class Lenient(XrayTest):
    """Without it, the same documents are kept."""

    def test_documents_that_aws_refuses_are_kept(self):
        self.put({**segment("odd", "odd", 0, 1, key="a"), "name": "x" * 250},
                 {**segment("odd", "odd", 0, 1, key="b"), "name": "what? ever!"},
                 {key: value for key, value in segment("odd", "odd", 0, 1, key="c").items() if key != "end_time"})
        names = {document["name"] for document in self.trace(trace_id("odd")).values()}
        self.assertEqual(names, {"x" * 250, "what? ever!", "odd"})


class Account(XrayTest):
    """`--xray-account` names the account of every ARN."""

    flags = ("--xray-account", "123456789012")

    def test_arns_and_nodes_have_the_account(self):
        self.put(segment("account", "account", 0, 1))
        (default,) = self.xray.get_groups()["Groups"]
        self.assertEqual(default["GroupARN"], "arn:aws:xray:us-east-1:123456789012:group/Default")
        found = self.found(BASE - 1, BASE + 9, 'service(id(account.id: "123456789012"))')
        self.assertEqual(found, {trace_id("account")})
