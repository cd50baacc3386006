"""Resident memory of `throughline local` with both workshops deployed and called; functions are processes of their own
and not counted. `scripts/measure-labs` prepares everything and calls this."""

import json
import os
import shutil
import zipfile

from world import LABS, FrontDoor, World, curl, envsubst, until

FUNCTION = "XrayReinventBuilderLambda"
REQUESTS = 200


def memory_mb(pid, field):
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        line = next(line for line in status if line.startswith(field))
    return int(line.split()[1]) / 1024


def show(door, what):
    pid = door.process.pid
    print(f"{what:46} now {memory_mb(pid, 'VmRSS'):6.1f} MB, most {memory_mb(pid, 'VmHWM'):6.1f} MB", flush=True)


def main():
    world = World()
    door = FrontDoor(world)
    try:
        show(door, "nothing deployed")
        lab = os.path.join(world.folder, "lab")
        shutil.copytree(os.path.join(LABS, "kinesis", "manual"), lab)
        envsubst(os.path.join(lab, "serverless_unset.yml"), os.path.join(lab, "serverless.yml"),
                 ACCESS_TOKEN="token", REALM="us1", PREFIX="measured")
        door.sls(lab, "deploy")
        endpoint = door.sls(lab, "info").split("endpoint: POST - ")[1].split()[0]
        function = os.path.join(LABS, "signup", "lambda")
        bundle = os.path.join(world.folder, "lambda.zip")
        with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as out:
            for root, _, names in os.walk(function):
                for name in names:
                    path = os.path.join(root, name)
                    out.write(path, os.path.relpath(path, function))
        door.aws(world.folder, "dynamodb", "create-table", "--table-name", "signups", "--billing-mode", "PAY_PER_REQUEST",
                 "--attribute-definitions", "AttributeName=email,AttributeType=S",
                 "--key-schema", "AttributeName=email,KeyType=HASH")
        topic = door.aws(world.folder, "sns", "create-topic", "--name", "signup-topic")["TopicArn"]
        door.aws(world.folder, "lambda", "create-function", "--function-name", FUNCTION, "--runtime", "nodejs20.x",
                 "--handler", "index.handler", "--role", "arn:aws:iam::000000000000:role/signup", "--timeout", "10",
                 "--zip-file", f"fileb://{bundle}", "--tracing-config", "Mode=Active",
                 "--environment", f"Variables={{TABLE_NAME=signups,TOPIC_ARN={topic}}}")
        show(door, "both workshops deployed")
        for number in range(REQUESTS):
            status, _ = curl(endpoint, json.dumps({"name": "Kate", "superpower": str(number)}).encode())
            assert status == 200, status
        for number in range(5):
            payload = json.dumps({"email": f"{number}@measured.example", "name": "Ada"})
            door.run([os.environ["AWS_CLI"], "lambda", "invoke", "--function-name", FUNCTION, "--payload", payload,
                      os.path.join(world.folder, "out.json")], world.folder)
        until(lambda: f'superpower":"{REQUESTS - 1}' in door.sls(lab, "logs", "-f", "consumer").replace(" ", ""), "the log")
        show(door, f"after {REQUESTS} messages and 5 sign-ups")
    finally:
        door.stop()
        world.stop()


if __name__ == "__main__":
    main()
