"""The stand: moto as AWS, the real server, and programs that send and take messages."""

import io
import json
import logging
import multiprocessing
import os
import subprocess
import threading

from server import Server

HERE = os.path.dirname(os.path.abspath(__file__))
ENVIRONMENT = "messages"
ACCOUNT = "123456789012"
# A trace is whole to the doctor after a minute without news.
AGO_S = 90


class PythonPeer:
    """python/peer.py, in a process forked from one that has imported everything already."""

    def __init__(self, processes, serve, role, *addresses):
        self.pipe, end = processes.Pipe()
        self.process = processes.Process(target=serve, args=(end, role, *addresses), daemon=True)
        self.process.start()
        end.close()

    def ask(self, method, **arguments):
        self.pipe.send((method, arguments))
        answer, error = self.pipe.recv()
        if error:
            raise AssertionError(f"{method} {arguments}: {error}")
        return answer

    def stop(self):
        self.pipe.close()
        self.process.join(10)
        self.process.kill()


class NodePeer:
    """node/peer.js."""

    def __init__(self, role, *addresses):
        self.process = subprocess.Popen(
            ["node", "--no-warnings", os.path.join(HERE, "node", "peer.js"), json.dumps(role), *map(str, addresses)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, method, **arguments):
        try:
            self.process.stdin.write(json.dumps([method, arguments]) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer, error = json.loads(line) if line else (None, "it ended")
        if error:
            raise AssertionError(f"{method} {arguments}: {error}")
        return answer

    def stop(self):
        try:
            self.process.stdin.close()
            self.process.wait(10)
        except BrokenPipeError:
            pass  # It has ended already, and the case that asked it said so.
        finally:
            self.process.kill()
            self.process.stdout.close()


class Aws:
    """moto, with what it leaves out: SQS keeps the trace header of a call with the message.

    Source: X-Ray developer guide, "Amazon SQS and AWS X-Ray".
    """

    def __init__(self):
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.server = make_server("127.0.0.1", 0, self.application, threaded=True)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def application(self, environ, start_response):
        header = environ.get("HTTP_X_AMZN_TRACE_ID")
        if header and environ.get("HTTP_X_AMZ_TARGET", "").startswith("AmazonSQS.SendMessage"):
            body = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            for message in body.get("Entries", [body]):
                attributes = message.setdefault("MessageSystemAttributes", {})
                attributes.setdefault("AWSTraceHeader", {"DataType": "String", "StringValue": header})
            body = json.dumps(body).encode()
            environ["CONTENT_LENGTH"], environ["wsgi.input"] = str(len(body)), io.BytesIO(body)
        return self.moto(environ, start_response)

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class World:
    def __init__(self):
        self.processes = multiprocessing.get_context("forkserver")
        self.processes.set_forkserver_preload(["peer"])
        self.moto = Aws()
        self.aws_url = self.moto.url
        self.server = Server(os.environ["THROUGHLINE_BIN"], "--retention", "off")
        self.otlp_url = f"http://{self.server.doors['otlp_http']}/v1/traces"
        self.peers, self.clients = {}, {}

    def peer(self, service, tracers, context="none", environment=ENVIRONMENT):
        """A program of a service, traced by some instrumentation, that sends this context along."""
        key = (service, tracers, context, environment)
        if key not in self.peers:
            role = {"service": service, "environment": environment, "tracers": tracers.split("+"),
                    "propagators": [] if context == "none" else context.split(",")}
            if tracers.startswith("aws-sdk"):
                made = NodePeer(role, self.otlp_url, self.aws_url, AGO_S)
            elif tracers == "xray":
                import xray

                address = self.server.doors["xray"]
                made = PythonPeer(self.processes, xray.serve, role, address, self.aws_url, AGO_S)
            else:
                import peer

                made = PythonPeer(self.processes, peer.serve, role, self.otlp_url, self.aws_url, AGO_S)
            self.peers[key] = made
        return self.peers[key]

    def aws(self, service):
        """An untraced client, for what stands before the first message."""
        import boto3

        if service not in self.clients:
            self.clients[service] = boto3.client(
                service, endpoint_url=self.aws_url, region_name="us-east-1",
                aws_access_key_id="test", aws_secret_access_key="test")
        return self.clients[service]

    def queue(self, name, **attributes):
        return self.aws("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def topic(self, name, queues, raw):
        """A topic whose notifications go to some queues, bare or in SNS's own envelope."""
        sns = self.aws("sns")
        topic = sns.create_topic(Name=name)["TopicArn"]
        for queue in queues:
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn("sqs", queue),
                          Attributes={"RawMessageDelivery": str(raw).lower()})
        return topic

    def bus(self, name, queue):
        """A bus all of whose events go to a queue."""
        events = self.aws("events")
        events.create_event_bus(Name=name)
        events.put_rule(Name=f"{name}-all", EventBusName=name, EventPattern='{"source":["shop"]}')
        events.put_targets(Rule=f"{name}-all", EventBusName=name, Targets=[{"Id": "q", "Arn": arn("sqs", queue)}])
        return name

    def stream(self, name):
        self.aws("kinesis").create_stream(StreamName=name, ShardCount=1)
        return name

    def iterator(self, stream):
        shard = {"StreamName": stream, "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON"}
        return self.aws("kinesis").get_shard_iterator(**shard)["ShardIterator"]

    def report(self, *receipts):
        """Tells the server of messages, as somebody does who saw the hop."""
        import urllib.request

        request = urllib.request.Request(f"{self.server.url}/api/v1/receipts", method="POST",
                                         data=json.dumps(receipts).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            said = json.load(answer)
        assert said == {"accepted": len(receipts), "rejected": []}, said

    def flush(self):
        """Has every program send its spans; they can be asked for once this comes back."""
        for peer in self.peers.values():
            peer.ask("flush")

    def stop(self):
        for peer in self.peers.values():
            peer.stop()
        self.moto.stop()
        log, code = self.server.log(), self.server.stop()
        assert code == 0 and "panicked" not in log, f"the server ended with {code}: {log}"


def arn(service, queue_url):
    return f"arn:aws:{service}:us-east-1:{ACCOUNT}:{queue_url.rsplit('/', 1)[-1]}"
