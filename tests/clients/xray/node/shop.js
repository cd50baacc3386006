// A web server with the X-Ray SDK for Node, as people write it: shop.js STUB_URL.
//
// It asks itself: orders, which call another server, and its own health. Prints what it sent as one
// line of JSON.
"use strict";
const http = require("node:http");
const plainRequest = http.request;
const xray = require("aws-xray-sdk");
const cache = require("aws-xray-sdk-core/dist/lib/middleware/sampling/rule_cache");

const stub = process.argv[2];
const deadline = Date.now() + 25_000;
xray.captureHTTPsGlobal(http);
xray.middleware.setSamplingRules({ version: 2, default: { fixed_target: 0, rate: 0 }, rules: [] });
xray.middleware.setDefaultName("node-shop");

const traces = [];

function until(condition, what) {
  return new Promise((resolve, reject) => {
    const timer = setInterval(() => {
      const found = condition();
      if (found) resolve(found);
      else if (Date.now() > deadline) reject(new Error(`${what}: not in time`));
      else return;
      clearInterval(timer);
    }, 20);
  });
}

const server = http.createServer((request, response) => {
  const segment = xray.middleware.traceRequestResponseCycle(request, response);
  const context = xray.getNamespace();
  context.bindEmitter(request);
  context.bindEmitter(response);
  context.run(() => {
    xray.setSegment(segment);
    if (!segment.notTraced) traces.push(segment.trace_id);
    if (request.url === "/health") return response.end("ok");
    segment.addAnnotation("customer", "ada");
    http.get(`${stub}/stock`, (answer) => {
      answer.resume();
      answer.on("end", () => {
        response.statusCode = request.url === "/orders/missing" ? 404 : 200;
        response.end("done");
      });
    });
  });
});

/** Asks without a trace of its own, as a browser does. */
function ask(port, path) {
  return new Promise((resolve, reject) => {
    const request = plainRequest({ host: "127.0.0.1", port, path, headers: { host: "node-shop.test" } }, (answer) => {
      answer.resume();
      answer.on("end", resolve);
    });
    request.on("error", reject);
    request.end();
  });
}

async function main() {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await ask(port, "/health"); // starts the pollers; no rule is known yet, and the local ones say no
  await until(() => cache.getRules().length > 0, "sampling rules");
  const early = traces.length;
  for (const path of ["/orders", "/orders", "/orders/missing"]) await ask(port, path);
  const sent = traces.slice(early);
  for (let number = 0; number < 20; number++) await ask(port, "/health");
  const rule = cache.getRules().find((found) => found.getName() === "node-shop orders");
  const quota = () => rule.getReservoir().quota;
  await until(() => typeof quota() === "number", "a quota from the sampling targets");
  const unsampled = traces.slice(early + sent.length);
  const rules = cache.getRules().map((found) => found.getName());
  console.log(JSON.stringify({ traces: sent, unsampled, rules, quota: quota(), rate: rule.getRate() }));
  server.closeAllConnections();
  server.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
