"""Both workshops from start to end, by `throughline lab` and by hand with the tools that their texts name.

./run prepares the tools and calls this. `-k WORD` picks tests.
"""

import json
import os
import re
import shutil
import sys
import time
import unittest
import zipfile

import repositories
from world import LABS, FrontDoor, Script, World, curl, envsubst, until

FUNCTION = "XrayReinventBuilderLambda"
ENVIRONMENT = "byhand-apm-lambda"
WORLD = None
DOOR = None


def setUpModule():
    global WORLD, DOOR
    WORLD = World()
    DOOR = FrontDoor(WORLD)


def tearDownModule():
    try:
        DOOR.stop()
    finally:
        WORLD.stop()


class ByItself(unittest.TestCase):
    """`throughline lab`: every promise holds, and what was set up is gone."""

    def check(self, name, *promises, flags=()):
        code, said = WORLD.lab(name, "--prefix", f"own-{name}", *flags)
        self.assertEqual(code, 0, said)
        self.assertNotIn("  NO ", said)
        for promise in promises:
            self.assertRegex(said, rf"(?m)^  ok .*{promise}")

    def test_kinesis_lab(self):
        self.check("kinesis", "every message is placed", "one journey, joined by the sequence number",
                   "every message is one trace", "custom.tag.superpower", "is removed")

    @unittest.skipUnless(os.environ.get("LAB_RUST"), "builds 230 packages: LAB_RUST=1 tests/labs/run -k rust")
    def test_kinesis_lab_in_rust(self):
        folder = os.path.join(LABS, "kinesis", "rust")
        code, said = WORLD.lab("kinesis", "--prefix", "rust", "--variant", "rust", "--rust-folder", folder)
        self.assertEqual(code, 0, said)
        self.assertIn("every message is one trace", said)

    def test_signup_lab_with_the_other_sdk(self):
        self.check("signup", "the function, the table and the topic", "one tree", "on-premises",
                   "second try and no other", "is removed", flags=("--sdk", "python"))

    def test_signup_lab(self):
        self.check("signup", "the function, the table and the topic", "one tree", "on-premises",
                   "second try and no other", "is removed")


class Kinesis(unittest.TestCase):
    """The Kinesis lab by hand, in the order of its text, in a copy of its folder."""

    @classmethod
    def setUpClass(cls):
        cls.lab = os.path.join(WORLD.folder, "o11y-lambda-lab")
        shutil.copytree(os.path.join(LABS, "kinesis"), cls.lab)
        for variant in ("auto", "manual"):
            folder = os.path.join(cls.lab, variant)
            envsubst(os.path.join(folder, "serverless_unset.yml"), os.path.join(folder, "serverless.yml"),
                     ACCESS_TOKEN="token", REALM="us1", PREFIX="byhand")

    def sls(self, variant, *words):
        return DOOR.sls(os.path.join(self.lab, variant), *words)

    def send(self, endpoint, superpower):
        for number in range(5):
            status, body = curl(endpoint, json.dumps({"name": f"Kate {number}", "superpower": superpower}).encode())
            self.assertEqual((status, json.loads(body)),
                             (200, {"message": "Message placed in the Event Stream: byhand-eventStream"}))

    def endpoint(self, variant):
        info = self.sls(variant, "info")
        found = re.search(r"endpoint: POST - (http://\S+/dev/producer)", info)
        self.assertIsNotNone(found, info)
        return found.group(1)

    def test_the_whole_lab(self):
        self.assertEqual(open(os.path.join(self.lab, "auto", "serverless.yml"), encoding="utf-8").read(),
                         open(os.path.join(self.lab, "manual", "serverless.yml"), encoding="utf-8").read(),
                         "the two variants differ in their code only")
        self.sls("auto", "config", "credentials", "--provider", "aws", "--key", "KEY", "--secret", "SECRET")
        self.assertIn("KEY", open(os.path.join(DOOR.home, ".aws", "credentials"), encoding="utf-8").read())
        deployed = self.sls("auto", "deploy")
        self.assertIn("Service deployed to stack byhand-lambda-lab-dev", deployed)
        self.assertRegex(deployed, r"producer: byhand-lambda-lab-dev-producer \(1\.\d kB\)")
        endpoint = self.endpoint("auto")
        self.automatic(endpoint)
        for function in ("producer", "consumer"):
            self.assertIn("Function code deployed", self.sls("manual", "deploy", "-f", function))
        self.assertEqual(self.endpoint("manual"), endpoint, "the endpoint stays the same")
        self.manual(endpoint)
        self.assertIn("successfully removed", self.sls("manual", "remove"))
        self.assertNotEqual(curl(endpoint, b"{}")[0], 200, "what was removed does not answer")

    def automatic(self, endpoint):
        self.send(endpoint, "flight")
        status, body = curl(endpoint, b"")
        self.assertEqual((status, json.loads(body)["message"]), (400, "No body was found"))
        invoked = self.sls("auto", "invoke", "-f", "producer", "--data", '{"body":"{\\"name\\":\\"sls\\"}"}')
        self.assertIn("Message placed in the Event Stream: byhand-eventStream", invoked)
        for function in ("producer", "consumer"):
            log = until(lambda f=function: (lambda log: "flight" in log and log)(self.sls("auto", "logs", "-f", f)), "log")
            self.assertIn("[splunk-extension-wrapper] OpenTelemetry is loaded: @splunk/otel 3.1.2", log)
            self.assertRegex(log, r"END Duration: [\d.]+ ms \(init: [\d.]+ ms\) Memory Used: \d+ MB")

        puts = until(lambda: (lambda found: len(found) == 6 and found)(
            WORLD.search('service = "producer-lambda" and name = "Kinesis.PutRecord"', ENVIRONMENT)), "the producer's traces")
        self.assertEqual({tuple(trace["services"]) for trace in puts}, {("producer-lambda",)})
        self.assertEqual({trace["environment"] for trace in puts}, {ENVIRONMENT})
        self.assertIn(ENVIRONMENT, WORLD.server.get_json("/api/v1/environments")["environments"])
        for trace in puts:
            journey = until(lambda t=trace: (lambda found: found["joins"] and found)(
                WORLD.server.get_json(f"/api/v1/journeys/{t['traceId']}")), "the journey")
            (join,) = journey["joins"]
            self.assertEqual((join["carrier"], join["resource"], join["class"]), ("kinesis", "byhand-eventStream", "E2"))
            self.assertRegex(join["key"], r"^49\d{54}$", "a sequence number")
            self.assertNotEqual(join["fromTraceId"], join["toTraceId"])
            consumer = WORLD.server.get_json(f"/api/v1/traces/{join['toTraceId']}/view")
            self.assertEqual(consumer["services"], ["consumer-lambda"])

    def manual(self, endpoint):
        self.send(endpoint, "tracing")
        traces = until(lambda: (lambda found: len(found) == 5 and found)(
            [trace for trace in WORLD.search('custom.tag.superpower = "tracing"', ENVIRONMENT) if len(trace["services"]) == 2]),
            "five whole traces")
        for trace in traces:
            self.assertEqual(set(trace["services"]), {"producer-lambda", "consumer-lambda"})
            self.assertEqual(WORLD.names(trace["traceId"])["Kinesis.getRecord"], "byhand-lambda-lab-dev-producer")
        log = self.sls("manual", "logs", "-f", "consumer")
        pasted = re.findall(r'"traceparent":"00-([0-9a-f]{32})-', log)[-1]
        (found,) = WORLD.search(f"trace = {pasted}", ENVIRONMENT)
        self.assertEqual(found["traceId"], pasted)
        view = WORLD.server.get_json(f"/api/v1/traces/{pasted}/view")
        row = [view["names"][index] for index in view["spans"]["name"]].index("Kinesis.getRecord")
        span = WORLD.server.get_json(f"/api/v1/traces/{pasted}/spans/{view['spans']['spanId'][row]}")
        attributes = {attribute["key"]: attribute["value"] for attribute in span["attributes"]}
        self.assertRegex(attributes["custom.tag.name"], r"^Kate \d$")
        self.assertEqual(attributes["custom.tag.superpower"], "tracing")
        edges = WORLD.server.get_json("/api/v1/map", environment=ENVIRONMENT, **{"from": "-1h"})["edges"]
        self.assertTrue(any("byhand-eventStream" in edge["from"] and "consumer-lambda" in edge["to"] for edge in edges), edges)


class Copies(unittest.TestCase):
    """Other copies of the Kinesis workshop's repository, dropped in as they are; see repositories.py."""

    def deployed(self, name, files, command, **more):
        """Deploys a repository and gives its folder and its endpoint."""
        folder = os.path.join(WORLD.folder, f"copy-{name}")
        repositories.write(folder, files)
        template = os.path.join(folder, "serverless_unset.yml")
        if os.path.exists(template):
            envsubst(template, os.path.join(folder, "serverless.yml"), ACCESS_TOKEN="token", REALM="us1", PREFIX=name)
        self.addCleanup(DOOR.run, [*command, "remove"], folder, PREFIX=name, **more)
        self.assertIn(f"{name}-lambda-lab-dev", DOOR.run([*command, "deploy"], folder, PREFIX=name, **more))
        info = DOOR.run([*command, "info"], folder, PREFIX=name, **more)
        found = re.search(r"POST - (http://\S+/producer)", info)
        self.assertIsNotNone(found, info)
        return folder, found.group(1)

    def send(self, name, endpoint):
        message = json.dumps({"name": "Kate", "superpower": f"copying {name}"}).encode()
        for _ in range(3):
            status, body = curl(endpoint, message)
            self.assertEqual((status, json.loads(body)["message"]),
                             (200, f"Message placed in the Event Stream: {name}-eventStream"))

    def consumed(self, name, folder, command):
        log = until(lambda: (lambda log: log.count(f"copying {name}") >= 3 and log)(
            DOOR.run([*command, "logs", "-f", "consumer"], folder, PREFIX=name)), "the consumer's log")
        self.assertIn("Message from the stream", log)

    def whole(self, name):
        traces = until(lambda: (lambda found: len(found) == 3 and found)(
            [trace for trace in WORLD.search(f'custom.tag.superpower = "copying {name}"', f"{name}-apm-lambda")
             if set(trace["services"]) == {"producer-lambda", "consumer-lambda"}]), "three whole traces")
        for trace in traces:
            self.assertTrue(WORLD.names(trace["traceId"])["Kinesis.getRecord"].endswith("-dev-producer"))

    def test_an_old_template_with_callbacks_and_serverless_3(self):
        sls = [os.path.join(DOOR.bin, "sls")]
        folder, endpoint = self.deployed("old", repositories.old("nodejs12.x"), sls)
        self.send("old", endpoint)
        self.consumed("old", folder, sls)
        self.whole("old")
        with open(os.path.join(folder, "event.json"), "w", encoding="utf-8") as out:
            out.write('{"body": "{}"}')
        invoked = DOOR.run([*sls, "invoke", "-f", "producer", "-p", "event.json", "--log"], folder)
        self.assertIn("Message placed in the Event Stream: old-eventStream", invoked)
        self.assertIn("Record with context", invoked, "the end of the log")
        repositories.write(folder, {"handler.js": repositories.CALLBACKS.replace("No body was found", "Nothing came")})
        self.assertIn("Function code deployed", DOOR.run([*sls, "deploy", "function", "-f", "producer"], folder))
        self.assertEqual(curl(endpoint, b"")[0], 400)
        self.send("old", endpoint)
        until(lambda: len(WORLD.search('custom.tag.superpower = "copying old"', "old-apm-lambda")) >= 6, "later messages")
        self.assertEqual(curl(endpoint, b"no JSON")[0], 200, "the stream takes what the consumer cannot read")

    def test_a_new_template_with_an_http_api_and_osls(self):
        osls = [os.environ["OSLS"]]
        folder, endpoint = self.deployed("new", repositories.new("nodejs22.x"), osls)
        status, body = curl(endpoint + "/Kate")
        self.assertEqual((status, json.loads(body)), (200, {"hello": "Kate", "by": "GET"}))
        self.assertEqual(curl(endpoint + "/no/such/route")[0], 404)
        self.send("new", endpoint)
        self.consumed("new", folder, osls)
        self.whole("new")
        self.assertIn("Function code deployed", DOOR.run([*osls, "deploy", "function", "-f", "consumer", "--force"], folder))

    def test_functions_in_python(self):
        sls = [os.path.join(DOOR.bin, "sls")]
        folder, endpoint = self.deployed("py", repositories.python("python3.9"), sls)
        self.send("py", endpoint)
        self.consumed("py", folder, sls)

    def test_the_lab_follows_a_copy(self):
        folder = os.path.join(WORLD.folder, "copy-itself")
        for variant in ("auto", "manual"):
            repositories.write(os.path.join(folder, variant), repositories.old("nodejs16.x"))
        code, said = WORLD.lab("kinesis", "--prefix", "itself", "--variant", "manual", "--repository", folder)
        self.assertEqual(code, 0, said)
        self.assertIn("every message is one trace", said)


class SignUp(unittest.TestCase):
    """The sign-up workshop by hand: the AWS CLI, the application as an instance would run it."""

    def setUp(self):
        self.folder = os.path.join(WORLD.folder, "signup")
        shutil.copytree(os.path.join(LABS, "signup"), self.folder, ignore=shutil.ignore_patterns("node_modules"))
        for part in ("app", "lambda"):
            installed = os.path.realpath(os.path.join(LABS, "signup", part, "node_modules"))
            os.symlink(installed, os.path.join(self.folder, part, "node_modules"))
        self.servers = []

    def tearDown(self):
        for server in self.servers:
            server.stop()

    def aws(self, *words):
        return DOOR.aws(self.folder, *words)

    def zip(self, message):
        """lambda.zip; `message` is logged by the function."""
        with zipfile.ZipFile(os.path.join(self.folder, "lambda.zip"), "w", zipfile.ZIP_DEFLATED) as out:
            source = os.path.join(self.folder, "lambda")
            for root, _, files in os.walk(source, followlinks=True):
                for name in files:
                    path = os.path.join(root, name)
                    with open(path, "rb") as file:
                        content = file.read()
                    if name == "index.js" and root == source:
                        content = content.replace(b"one more signed up", message.encode())
                    out.writestr(os.path.relpath(path, source), content)

    def script(self, words, folder, **environment):
        self.servers.append(Script(words, folder, AWS_XRAY_DAEMON_ADDRESS=WORLD.server.doors["xray"], **environment))
        return self.servers[-1].url

    def sign_up(self, app, email):
        status, body = curl(f"{app}/signup", json.dumps({"name": "Ada", "email": email}).encode(),
                            {"content-type": "application/json", "accept": "application/json"})
        return status, json.loads(body)["traceId"]

    def summaries(self, expression):
        now = time.time()
        body = json.dumps({"StartTime": now - 1800, "EndTime": now + 60, "FilterExpression": expression}).encode()
        status, answer = curl(f"http://{WORLD.server.doors['http']}/xray/TraceSummaries", body, {"content-type": "application/json"})
        self.assertEqual(status, 200, answer)
        return {summary["Id"]: summary for summary in json.loads(answer)["TraceSummaries"]}

    def test_the_whole_workshop(self):
        self.aws("dynamodb", "create-table", "--table-name", "signups", "--billing-mode", "PAY_PER_REQUEST",
                 "--attribute-definitions", "AttributeName=email,AttributeType=S",
                 "--key-schema", "AttributeName=email,KeyType=HASH")
        topic = self.aws("sns", "create-topic", "--name", "signup-topic")["TopicArn"]
        self.zip("first version")
        self.aws("lambda", "create-function", "--function-name", FUNCTION, "--runtime", "nodejs20.x",
                 "--handler", "index.handler", "--role", "arn:aws:iam::000000000000:role/signup", "--timeout", "10",
                 "--zip-file", "fileb://lambda.zip", "--tracing-config", "Mode=Active",
                 "--environment", f"Variables={{TABLE_NAME=signups,TOPIC_ARN={topic}}}")
        welcome = self.script(["node", "welcome.js"], os.path.join(self.folder, "onpremises"))
        settings = os.path.join(self.folder, "environment.conf")
        with open(settings, "w", encoding="utf-8") as out:
            json.dump({"environment_name": "signup-env", "version_label": "v1", "deployment_id": 1}, out)
        app = self.script([os.path.join(self.folder, "beanstalk"), settings, "node", "app.js"],
                          os.path.join(self.folder, "app"), ONPREMISES_URL=welcome, AWS_ENDPOINT_URL=DOOR.endpoint,
                          AWS_REGION="us-east-1", AWS_ACCESS_KEY_ID="local", AWS_SECRET_ACCESS_KEY="local")
        self.assertIn("<form", curl(app)[1])

        status, first = self.sign_up(app, "ada@byhand.example")
        self.assertEqual(status, 200)
        status, twice = self.sign_up(app, "ada@byhand.example")
        self.assertEqual(status, 409)
        self.zip("second version")
        before = self.aws("lambda", "get-function-configuration", "--function-name", FUNCTION)["CodeSha256"]
        after = self.aws("lambda", "update-function-code", "--function-name", FUNCTION, "--zip-file", "fileb://lambda.zip")
        self.assertNotEqual(after["CodeSha256"], before)
        self.assertEqual(self.sign_up(app, "grace@byhand.example")[0], 200)
        log = self.aws("logs", "filter-log-events", "--log-group-name", f"/aws/lambda/{FUNCTION}")["events"]
        log = "".join(event["message"] for event in log)
        self.assertIn("first version", log)
        self.assertIn("second version", log)
        self.assertRegex(log, r"XRAY TraceId: 1-[0-9a-f]{8}-[0-9a-f]{24}")

        self.look_at(first)
        expression = 'service("signups") { error OR fault }'
        found = until(lambda: (lambda all: twice in all and all)(self.summaries(expression)), "the error by its filter")
        self.assertNotIn(first, found)

        self.aws("lambda", "delete-function", "--function-name", FUNCTION)
        self.aws("sns", "delete-topic", "--topic-arn", topic)
        self.aws("dynamodb", "delete-table", "--table-name", "signups")
        self.assertEqual(self.aws("dynamodb", "list-tables")["TableNames"], [])

    def look_at(self, trace_id):
        wanted = {"signup-app", FUNCTION, "write entry", "dynamodb", "sns", "mail-room"}
        until(lambda: wanted <= set(WORLD.names(trace_id)), "a whole sign-up")
        view = WORLD.server.get_json(f"/api/v1/traces/{trace_id}/view")
        self.assertEqual(view["spans"]["parent"].count(-1), 1, "one tree")
        self.assertEqual(set(view["spans"]["missingParent"]), {""}, "no parent is missing")
        self.assertLessEqual({"Initialization", "Invocation", "Overhead"}, set(view["names"]), "what only AWS sends")
        until(lambda: {"signup-app", FUNCTION, "signups", "signup-topic", "mail-room"} <= {
            node["name"] for node in WORLD.server.get_json("/api/v1/map", **{"from": "-1h"})["nodes"]}, "the map")


if __name__ == "__main__":
    words = [sys.argv[place + 1] for place, word in enumerate(sys.argv[:-1]) if word == "-k"]
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f"*{word}*" for word in words] or None
    result = unittest.TextTestRunner(verbosity=2).run(loader.loadTestsFromModule(sys.modules["__main__"]))
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(0 if result.wasSuccessful() and result.testsRun else 1)
