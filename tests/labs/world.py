"""What the tests of the labs need: a server, a front door, the workshops' commands."""

import json
import os
import shutil
import string
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
LABS = os.path.join(HERE, "..", "..", "labs")
sys.path.insert(0, os.path.join(HERE, "..", "clients"))

from server import Server  # noqa: E402

WAIT_SECONDS = 60


def until(condition, what):
    """Asks `condition` again and again until it gives something true, and gives that."""
    pause = threading.Event()
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}: not within {WAIT_SECONDS} s"
        pause.wait(0.2)


def curl(url, data=None, headers=None):
    """What curl does with `-d`: status and body, whatever the status."""
    request = urllib.request.Request(url, data, headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class World:
    """A throughline, and what is pointed at it."""

    def __init__(self):
        self.server = Server(os.environ["THROUGHLINE_BIN"])
        self.asking = ["--url", f"http://{self.server.doors['http']}", "--cache", os.environ["LAB_CACHE"]]
        self.folder = tempfile.mkdtemp(prefix="throughline-labs-")

    def stop(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        code = self.server.stop()
        assert code == 0, f"the server ended with {code}"

    def lab(self, name, *flags):
        """`throughline lab`: exit code and output."""
        done = subprocess.run([os.environ["THROUGHLINE_BIN"], "lab", name, *self.asking, *flags],
                              text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=1200, check=False)
        return done.returncode, done.stdout

    def search(self, query, environment):
        """The traces of an environment, for every test has one of its own."""
        return self.server.get_json("/api/v1/search", q=query, limit=1000, environment=environment,
                                    **{"from": "-1h"})["traces"]

    def names(self, trace_id):
        """The spans of a trace by name, each with the name of its parent."""
        view = self.server.get_json(f"/api/v1/traces/{trace_id}/view")
        names, spans = view["names"], view["spans"]
        name_of = [names[index] for index in spans["name"]]
        return {name_of[row]: name_of[parent] if parent >= 0 else None
                for row, parent in enumerate(spans["parent"])}


class FrontDoor:
    """`throughline local`, which ends with its standard input."""

    def __init__(self, world):
        self.home = os.path.join(world.folder, "home")
        self.process = subprocess.Popen(
            [os.environ["THROUGHLINE_BIN"], "local", "--listen", "127.0.0.1:0", "--announce", "json", "--install",
             *world.asking], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line, "the front door did not open"
        told = json.loads(line)
        self.endpoint, self.bin = told["endpoint"], told["tools"]

    def stop(self):
        self.process.terminate()
        try:
            code = self.process.wait(60)
        finally:
            self.process.kill()
            self.process.stdout.close()
        assert code == 0, f"the front door ended with {code}"

    def run(self, command, folder, **more):
        """Runs a workshop's command and gives what it said; nothing of this machine's own settings gets in."""
        environment = {
            "PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": self.home, "SLS_HOME": self.home,
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_DEFAULT_REGION": "us-east-1", "AWS_PAGER": "",
            "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
            "SLS_TELEMETRY_DISABLED": "1", "SLS_NOTIFICATIONS_MODE": "off", **more,
        }
        done = subprocess.run(command, cwd=folder, env=environment, text=True, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=300, check=False)
        said = f"{done.stdout}\n{done.stderr}"
        assert done.returncode == 0, f"exit code {done.returncode} of {' '.join(command)}\n{said}"
        return said

    def sls(self, folder, *words):
        return self.run([os.path.join(self.bin, "sls"), *words], folder)

    def aws(self, folder, *words):
        said = self.run([os.environ["AWS_CLI"], *words, "--output", "json"], folder)
        return json.loads(said) if said.strip() else None


def envsubst(path, target, **values):
    """What envsubst does: other `${…}` stay."""
    with open(path, encoding="utf-8") as template, open(target, "w", encoding="utf-8") as out:
        out.write(string.Template(template.read()).safe_substitute(values))


class Script:
    """A server of the workshop; it says where it listens."""

    def __init__(self, words, folder, **environment):
        self.process = subprocess.Popen(words, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                        env={"PATH": os.environ["PATH"], "PORT": "0",
                                             "AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE": "1", **environment})
        line = self.process.stdout.readline()
        assert "listening on " in line, f"{words} said {line!r}"
        self.url = line.rsplit(" ", 1)[1].strip()

    def stop(self):
        self.process.kill()
        self.process.wait(30)
        self.process.stdout.close()
