"""Starts the real binary on free ports, and asks it."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request


class Server:
    def __init__(self, binary, *flags):
        self.folder = tempfile.mkdtemp(prefix="throughline-clients-")
        self.log_path = os.path.join(self.folder, "log")
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [binary, "serve", "--announce", "json", "--data", os.path.join(self.folder, "data"),
                 "--listen", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0",
                 "--xray", "127.0.0.1:0", *flags],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        # The line comes once every door is open; when the server ends instead, the line is empty.
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server did not start; it said:\n{self.log()}")
        self.doors = json.loads(line)
        self.url = f"http://{self.doors['http']}"

    def log(self):
        with open(self.log_path, encoding="utf-8") as log:
            return log.read()

    def get(self, path, **query):
        """The body of a GET; raises when the answer is no 200."""
        address = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"GET {address}: {error.code} {error.read().decode()}") from error

    def get_json(self, path, **query):
        return json.loads(self.get(path, **query))

    def span_counts(self, protocol):
        """What /metrics says of a protocol's spans: received, stored, rejected, dropped."""
        return self.counts(protocol, "spans")

    def counts(self, protocol, what):
        """The same of `spans` or of `log_records`."""
        counts = dict.fromkeys(("received", "stored", "rejected", "dropped"), 0)
        for line in self.get("/metrics").splitlines():
            name, _, value = line.rpartition(" ")
            for word in counts:
                if name.startswith(f"throughline_{what}_{word}_total{{") and f'protocol="{protocol}"' in name:
                    counts[word] += int(float(value))
        return counts

    def stop(self):
        """Asks it to stop and gives its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(60)
        finally:
            self.process.kill()
            self.process.stdout.close()
            shutil.rmtree(self.folder, ignore_errors=True)
        return code
