"""Runs a Python function: asks the Runtime API for work, calls the handler, gives its answer.

Talks over a socket of its own, so that no instrumentation of http.client traces it.

Rule: AWS Lambda developer guide, "Using the Lambda runtime API", "Define Lambda function handler in Python",
      "Using the Lambda context object", "Log and monitor Python Lambda functions".
"""

import importlib
import json
import logging
import os
import socket
import sys
import time
import traceback

_connect = socket.create_connection


class RuntimeApi:
    """HTTP/1.1 to one server over one connection; every answer has a Content-Length."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self._address = (host, int(port))
        self._socket = None
        self._reader = None

    def ask(self, method, route, body=b""):
        """Gives status, headers and body. A connection that was closed is opened again, once."""
        for attempt in (0, 1):
            try:
                if self._socket is None:
                    self._open()
                self._send(method, route, body)
                return self._receive()
            except OSError:
                self._close()
                if attempt:
                    raise
        raise OSError("not reached")

    def _open(self):
        self._socket = _connect(self._address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._socket.makefile("rb")

    def _close(self):
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _send(self, method, route, body):
        head = (
            f"{method} /2018-06-01/runtime/{route} HTTP/1.1\r\nhost: runtime\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + body)

    def _receive(self):
        line = self._reader.readline()
        if not line:
            raise OSError("closed")
        status = int(line.split(b" ", 2)[1])
        headers = {}
        while True:
            line = self._reader.readline().rstrip(b"\r\n")
            if not line:
                break
            name, _, value = line.partition(b":")
            headers[name.decode().lower()] = value.strip().decode()
        return status, headers, self._reader.read(int(headers.get("content-length", "0")))


class CognitoIdentity:
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")

    def __init__(self):
        self.cognito_identity_id = None
        self.cognito_identity_pool_id = None


class Client:
    def __init__(self, fields):
        for name in ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name"):
            setattr(self, name, fields.get(name))


class ClientContext:
    def __init__(self, fields):
        self.client = Client(fields["client"]) if isinstance(fields.get("client"), dict) else None
        self.custom = fields.get("custom")
        self.env = fields.get("env")


class Context:
    """What a handler knows of its call."""

    def __init__(self, headers):
        self.aws_request_id = headers["lambda-runtime-aws-request-id"]
        self.invoked_function_arn = headers["lambda-runtime-invoked-function-arn"]
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.identity = CognitoIdentity()
        client = headers.get("lambda-runtime-client-context")
        self.client_context = ClientContext(json.loads(client)) if client else None
        self._deadline_ms = int(headers["lambda-runtime-deadline-ms"])

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def log(self, text):
        sys.stdout.write(str(text))


class LogHandler(logging.Handler):
    """The root logger's: a line feed within a record becomes a carriage return, so that it stays one event."""

    request_id = None

    def emit(self, record):
        record.aws_request_id = LogHandler.request_id or ""
        sys.stdout.write(self.format(record).replace("\n", "\r") + "\n")


def set_up_output():
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    handler = LogHandler()
    formatter = logging.Formatter(
        "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.root.addHandler(handler)


def set_up_path():
    opt = os.environ.pop("THROUGHLINE_OPT", "/opt")
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    sys.path[0:1] = [
        os.environ["LAMBDA_TASK_ROOT"],
        os.path.join(opt, "python", "lib", version, "site-packages"),
        os.path.join(opt, "python"),
    ]


class RuntimeFailure(Exception):
    """An error of the function's making that has a type of Lambda's own."""

    def __init__(self, kind, message, frames=()):
        super().__init__(message)
        self.kind = kind
        self.frames = list(frames)


def load_handler(name):
    try:
        module_name, function_name = name.rsplit(".", 1)
    except ValueError as error:
        raise RuntimeFailure("Runtime.MalformedHandlerName", f"Bad handler '{name}': {error}") from error
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise RuntimeFailure(
            "Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}"
        ) from error
    except SyntaxError as error:
        frame = f'  File "{error.filename}" Line {error.lineno}\n    {error.text}'
        raise RuntimeFailure(
            "Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}", [frame]
        ) from error
    try:
        return getattr(module, function_name)
    except AttributeError as error:
        raise RuntimeFailure(
            "Runtime.HandlerNotFound", f"Handler '{function_name}' missing on module '{module_name}'"
        ) from error


def shape(error, request_id):
    """An error as Lambda gives it to the caller; our own frame is left out."""
    if isinstance(error, RuntimeFailure):
        kind, frames = error.kind, error.frames
    else:
        kind = type(error).__name__
        frames = traceback.format_list(traceback.extract_tb(error.__traceback__)[1:])
    return {"errorMessage": str(error), "errorType": kind, "requestId": request_id, "stackTrace": frames}


def tell(told):
    lines = [f"[ERROR] {told['errorType']}: {told['errorMessage']}"]
    if told["stackTrace"]:
        lines.append("Traceback (most recent call last):")
        lines.extend(frame.rstrip("\n") for frame in told["stackTrace"])
    sys.stdout.write("\r".join(line.replace("\n", "\r") for line in lines) + "\n")


def plain(value):
    """Numbers as DynamoDB's client gives them; the module is not imported for its own sake."""
    if type(value).__module__ == "decimal":
        return float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def marshal(result):
    try:
        return json.dumps(result, default=plain).encode()
    except Exception as error:
        raise RuntimeFailure("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def call(handler, headers, body):
    """Gives what to post and where."""
    context = Context(headers)
    request_id = context.aws_request_id
    LogHandler.request_id = request_id
    if "lambda-runtime-trace-id" in headers:
        os.environ["_X_AMZN_TRACE_ID"] = headers["lambda-runtime-trace-id"]
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    try:
        return "response", marshal(handler(json.loads(body), context))
    except Exception as error:
        told = shape(error, request_id)
        tell(told)
        return "error", json.dumps(told).encode()


def main():
    api = RuntimeApi(os.environ["AWS_LAMBDA_RUNTIME_API"])
    set_up_output()
    set_up_path()
    try:
        handler = load_handler(os.environ.get("_HANDLER", ""))
    except Exception as error:
        told = shape(error, "")
        tell(told)
        api.ask("POST", "init/error", json.dumps(told).encode())
        sys.exit(1)
    while True:
        status, headers, body = api.ask("GET", "invocation/next")
        if status != 200:
            sys.exit(1)
        what, answer = call(handler, headers, body)
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            api.ask("POST", f"invocation/{headers['lambda-runtime-aws-request-id']}/{what}", answer)
        except OSError:
            pass


if __name__ == "__main__":
    main()
