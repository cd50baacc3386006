/**
 * DEVELOPMENT ONLY, never part of `dist`: a stand-in for the server with invented data.
 *
 *   npm run build && npm run mock            serves dist and the API on 127.0.0.1:8901
 *   PORT=8902 EMPTY=1 npm run mock           the same with nothing received yet
 *   MOUNT=/deep/path npm run mock            hosted under a path
 *
 * It sends the strictest Content-Security-Policy that the page must live with.
 */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { serviceMap } from "./mock-map.mjs";
import { bigTrace, smallTrace, summaries } from "./mock-traces.mjs";

const PORT = Number(process.env.PORT ?? 8901);
const MOUNT = (process.env.MOUNT ?? "").replace(/\/$/, "");
const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const CSP = "default-src 'self'; base-uri 'self'; object-src 'none'; frame-ancestors 'none'";
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

const started = BigInt(Date.now()) * 1_000_000n;
let received = process.env.EMPTY ? 0 : 1_482_331;
const traces = new Map();
for (const trace of [
  bigTrace(20_000, "7f3c9a51d2e84b06a1c0f4e2b96d8835"),
  smallTrace("4bf92f3577b34da6a3ce929d0e0e4736"),
]) {
  traces.set(trace.view.traceId, trace);
}

const server = createServer(async (req, res) => {
  const url = new URL(req.url ?? "/", "http://localhost");
  const path = url.pathname.startsWith(MOUNT) ? url.pathname.slice(MOUNT.length) || "/" : null;
  if (path === null) return send(res, 404, "text/plain", "not here");
  if (req.method === "POST" && path === "/v1/traces") {
    for await (const _ of req) {
      // The mock believes whatever it is sent.
    }
    received += 1;
    return json(res, 200, {});
  }
  if (path.startsWith("/api/v1/")) return api(res, path.slice(7), url.searchParams);
  return asset(res, path);
});
server.listen(PORT, "127.0.0.1", () => console.log(`mock on http://127.0.0.1:${PORT}${MOUNT}/`));

function api(res, path, query) {
  const empty = received === 0;
  if (path === "/status") {
    return json(res, 200, {
      version: "0.1.0-mock",
      startedUnixNano: String(started),
      ready: true,
      spans: received,
      traces: received >> 5,
      blocks: 2,
      bytesOnDisk: 48_211_004,
      oldestUnixNano: empty ? "" : String(started - 86_400_000_000_000n),
      newestUnixNano: empty ? "" : String(BigInt(Date.now()) * 1_000_000n),
      receivedSpans: received,
      rejectedSpans: 14,
      doors: [
        { name: "http", address: `127.0.0.1:${PORT}` },
        { name: "otlp_http", address: "127.0.0.1:4318" },
        { name: "otlp_grpc", address: "127.0.0.1:4317" },
      ],
      dataDirectory: "./data",
    });
  }
  if (path === "/environments") {
    return json(res, 200, { environments: empty ? [] : ["production", "staging"] });
  }
  if (path === "/rejected") {
    return json(res, 200, {
      rejected: [
        {
          timeUnixNano: String(BigInt(Date.now() - 42_000) * 1_000_000n),
          protocol: "otlp_http",
          reason: "zero_trace_id",
          count: 14,
          detail: "trace id is all zeros; span name GET /healthz",
        },
      ],
    });
  }
  if (path === "/services") {
    const nodes = empty ? [] : serviceMap(60).nodes.filter((n) => n.kind === "service");
    return json(res, 200, { services: nodes.map((n) => ({ ...n, environments: ["production"] })) });
  }
  if (path === "/map") {
    return json(
      res,
      200,
      empty ? { ...serviceMap(0) } : serviceMap(Number(process.env.NODES ?? 60)),
    );
  }
  if (path === "/search") return search(res, query);
  const operations = /^\/services\/([^/]+)\/operations$/.exec(path);
  if (operations) {
    return json(res, 200, {
      operations: [
        {
          name: "POST /v1/charges",
          kind: "client",
          requests: 900,
          errors: 40,
          p50Nano: 4e7,
          p95Nano: 186e6,
          p99Nano: 4e8,
        },
      ],
    });
  }
  const span = /^\/traces\/([^/]+)\/spans\/([^/]+)$/.exec(path);
  if (span) {
    const detail = traces.get(span[1])?.span(span[2]);
    return detail ? json(res, 200, detail) : json(res, 404, fault("no such span"));
  }
  const view = /^\/traces\/([^/]+)(\/view)?$/.exec(path);
  if (view) {
    const trace = traces.get(view[1].replace(/^1-/, "").replaceAll("-", ""));
    if (!trace) return json(res, 404, fault(`no span of trace ${view[1]} is held`));
    return json(res, 200, view[2] ? trace.view : { resourceSpans: [] });
  }
  return json(res, 404, fault("no such path"));
}

function search(res, query) {
  const q = query.get("q") ?? "";
  const broken = /!!/.exec(q);
  if (broken) {
    return json(res, 400, {
      error: { message: "expected an operator, found `!!`", at: broken.index },
    });
  }
  let rows =
    received === 0 ? [] : summaries(Number(query.get("limit") ?? 20), [...traces.values()]);
  const service = /service\s*=\s*"?([\w-]+)/.exec(q)?.[1];
  if (service) rows = rows.filter((r) => r.services.includes(service));
  if (/status\s*=\s*error/.test(q)) rows = rows.filter((r) => r.errorCount > 0);
  if (/order by duration/.test(q)) rows.sort((a, b) => b.durationNano - a.durationNano);
  return json(res, 200, { traces: rows, truncated: rows.length > 30 });
}

async function asset(res, path) {
  const file = normalize(join(DIST, path));
  if (file.startsWith(DIST) && extname(file)) {
    const body = await readFile(file).catch(() => null);
    if (body) return send(res, 200, TYPES[extname(file)] ?? "application/octet-stream", body);
    return send(res, 404, "text/plain", "no such file");
  }
  const page = await readFile(join(DIST, "index.html"), "utf8").catch(
    () => "run npm run build first",
  );
  return send(
    res,
    200,
    TYPES[".html"],
    page.replace('<base href="/" />', `<base href="${MOUNT}/" />`),
  );
}

const fault = (message) => ({ error: { message } });
const json = (res, code, body) => send(res, code, "application/json", JSON.stringify(body));

function send(res, code, type, body) {
  res.writeHead(code, { "content-type": type, "content-security-policy": CSP });
  res.end(body);
}
