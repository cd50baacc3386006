// Starts the real binary on free ports with the lab's recordings in it.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { servePage } from "./page.js";

const LAB = new URL("../../testdata/kinesis-lab/", import.meta.url).pathname;

/**
 * The page is the one in the binary; with `THROUGHLINE_PAGE`, a folder as `ui/dist`, it is that one in
 * front of the binary.
 */
export async function startServer(binary) {
  const folder = mkdtempSync(join(tmpdir(), "throughline-browser-"));
  const child = spawn(
    binary,
    [
      ...["serve", "--announce", "json", "--data", join(folder, "data")],
      ...["--listen", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"],
      ...["--xray", "127.0.0.1:0"],
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const announced = new Promise((resolve) => createInterface(child.stdout).once("line", resolve));
  const line = await Promise.race([announced, ended]);
  if (typeof line !== "string") throw new Error(`the server ended with ${line} before it was ready`);
  const direct = `http://${JSON.parse(line).http}`;
  const { THROUGHLINE_PAGE: dist } = process.env;
  const front = dist ? await servePage(dist, direct) : null;
  const url = front?.url ?? direct;
  return {
    url,
    /** Sends every recording through the OTLP door, as `make run` does. */
    importLab() {
      const files = ["auto", "auto-ingest-token", "manual"].flatMap((variant) =>
        readdirSync(join(LAB, variant))
          .filter((name) => name.endsWith(".pb"))
          .map((name) => join(LAB, variant, name)),
      );
      const flags = ["--url", direct, "--shift-to-now", "--fresh-ids"];
      const done = spawnSync(binary, ["import", ...flags, ...files], { encoding: "utf8" });
      if (done.status !== 0) throw new Error(`import ended with ${done.status}: ${done.stderr}`);
    },
    async json(path) {
      const answer = await fetch(url + path);
      if (!answer.ok) throw new Error(`GET ${path}: ${answer.status} ${await answer.text()}`);
      return answer.json();
    },
    async stop() {
      await front?.stop();
      child.kill("SIGTERM");
      const code = await ended;
      rmSync(folder, { recursive: true, force: true });
      return code;
    },
  };
}
