// Invented systems, made anew from a seed: a shop of some sixty services, and one trace as large as
// wanted. Both are sent as OTLP JSON over HTTP, as any exporter would.
//
//   node tests/browser/systems.js URL shop [TRACES]     traces spread over the last hour
//   node tests/browser/systems.js URL trace [SPANS]     one trace of a minute ago; prints its id

const BATCH_SPANS = 1_500;
const MS = 1_000_000n;

/** Numbers from 0 to 1, the same for the same seed. Rule: mulberry32, public domain. */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const hex = (next, digits) =>
  Array.from({ length: digits / 8 }, () =>
    Math.floor(next() * 2 ** 32)
      .toString(16)
      .padStart(8, "0"),
  ).join("");

const value = (v) =>
  typeof v === "number"
    ? Number.isInteger(v)
      ? { intValue: String(v) }
      : { doubleValue: v }
    : typeof v === "boolean"
      ? { boolValue: v }
      : { stringValue: v };
const attributes = (map) => Object.entries(map).map(([key, v]) => ({ key, value: value(v) }));

const KIND = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 };

/** A span of OTLP with an id of its own; times are nanoseconds, `failed` says why it did. */
export function otlpSpan(next, traceId, name, kind, parent, start, end, more, failed) {
  return {
    traceId,
    spanId: hex(next, 16),
    ...(parent ? { parentSpanId: parent } : {}),
    name,
    kind: KIND[kind],
    startTimeUnixNano: String(start),
    endTimeUnixNano: String(end),
    attributes: attributes(more),
    status: failed ? { code: 2, message: failed } : {},
  };
}

/**
 * Who calls whom. `calls`: [service, operation, share of requests]; `uses`: [kind, name, usual ms];
 * `sends`: [kind of broker, name, services that consume it].
 */
const SHOP = {
  "mobile-app": { calls: [["api-gateway", "GET /m", 0.95]], entry: 1 },
  "web-storefront": { calls: [["api-gateway", "GET /", 0.95], ["signup-web", "GET /signup", 0.08]], entry: 2 },
  "partner-portal": { calls: [["api-gateway", "GET /partner", 1]], entry: 0.4 },
  "signup-web": { calls: [["signup-fn", "POST /signup", 0.9]] },
  "signup-fn": { uses: [["dynamodb", "signup-table", 12]], sends: [["topic", "signup-topic", ["consumer-fn", "crm-sync"]]] },
  "producer-fn": { sends: [["stream", "lab-stream", ["etl"]]], entry: 0.3 },
  "api-gateway": {
    calls: [["bff-mobile", "GET /mobile/home", 0.4], ["bff-web", "GET /home", 0.55], ["auth", "POST /token", 0.5], ["rate-limiter", "POST /check", 0.4]],
  },
  "rate-limiter": { uses: [["redis", "limits-redis", 1]] },
  "bff-mobile": { calls: [["checkout", "POST /checkout", 0.4], ["search", "GET /search", 0.3], ["recommend", "GET /recommend", 0.3], ["profile", "GET /me", 0.4]] },
  "bff-web": {
    calls: [["checkout", "POST /checkout", 0.45], ["search", "GET /search", 0.4], ["recommend", "GET /recommend", 0.4], ["catalog", "GET /items", 0.6], ["cms", "GET /page", 0.3]],
  },
  auth: { uses: [["redis", "session-cache", 1.2], ["postgresql", "users-db", 6]] },
  profile: { uses: [["mongodb", "profiles", 8]] },
  cms: { uses: [["external", "api.contentful.example", 60]] },
  search: { uses: [["elasticsearch", "search-index", 22]] },
  recommend: { calls: [["catalog", "GET /items", 0.5], ["features", "GET /features", 0.7]] },
  features: { uses: [["redis", "feature-store", 2]] },
  checkout: {
    calls: [["payments", "POST /charge", 0.9], ["orders", "POST /orders", 0.9], ["cart", "GET /cart", 0.9], ["tax", "POST /tax", 0.5]],
  },
  tax: { uses: [["external", "tax.avalara.example", 45]] },
  payments: {
    calls: [["ledger", "POST /entries", 0.9], ["fraud", "POST /score", 0.8]],
    uses: [["postgresql", "payments-db", 9], ["external", "api.stripe.example", 160]],
    sends: [["topic", "payment-events", ["invoice", "analytics"]]],
  },
  ledger: { uses: [["postgresql", "ledger-db", 7]] },
  fraud: { uses: [["redis", "fraud-features", 3]], calls: [["ml-scoring", "POST /predict", 0.5]] },
  "ml-scoring": {},
  orders: { uses: [["postgresql", "orders-db", 11]], sends: [["topic", "order-events", ["warehouse", "notify", "analytics", "loyalty"]]] },
  cart: { uses: [["redis", "cart-redis", 2]], calls: [["catalog", "GET /items", 0.3], ["pricing", "POST /quote", 0.5]] },
  catalog: { uses: [["mysql", "catalog-db", 10]], calls: [["media", "GET /media", 0.4], ["pricing", "POST /quote", 0.4], ["reviews", "GET /reviews", 0.3]] },
  media: { uses: [["external", "media.s3.example", 30]] },
  pricing: { uses: [["postgresql", "pricing-db", 5]], calls: [["promo", "GET /promo", 0.4], ["currency", "GET /rates", 0.3]] },
  promo: {},
  currency: { uses: [["redis", "rates-cache", 1]] },
  reviews: { uses: [["cassandra", "reviews-db", 9]] },
  warehouse: { calls: [["inventory", "POST /reserve", 0.9]], sends: [["queue", "pick-queue", ["picker"]]] },
  inventory: { uses: [["postgresql", "inventory-db", 14]] },
  picker: { calls: [["shipping", "POST /ship", 0.8], ["inventory", "POST /release", 0.2]] },
  shipping: { uses: [["external", "api.carrier.example", 70]], sends: [["topic", "ship-events", ["tracking", "notify"]]] },
  tracking: { uses: [["mongodb", "tracking-db", 6]] },
  notify: { sends: [["queue", "email-queue", ["email-sender"]], ["queue", "push-queue", ["push-sender"]]] },
  "email-sender": { uses: [["external", "email.ses.example", 40]] },
  "push-sender": { uses: [["external", "push.fcm.example", 35]] },
  invoice: { uses: [["external", "invoices.s3.example", 33]] },
  analytics: { uses: [["clickhouse", "events-dw", 18]] },
  loyalty: { uses: [["postgresql", "loyalty-db", 8]] },
  "consumer-fn": { uses: [["dynamodb", "welcome-table", 9]] },
  "crm-sync": { uses: [["external", "api.crm.example", 90]] },
  etl: { uses: [["snowflake", "warehouse-dw", 140]] },
  "ad-bidder": { uses: [["redis", "bids", 1]], entry: 0.3 },
  "price-crawler": { calls: [["pricing", "POST /quote", 1]], entry: 0.15 },
  backoffice: { calls: [["orders", "POST /orders", 0.4], ["reporting", "GET /report", 0.6]], entry: 0.2 },
  reporting: { uses: [["clickhouse", "events-dw", 60]] },
};

const LANGUAGE = ["nodejs", "java", "go", "python", "dotnet"];
const DEPTH_MAX = 12;

/** One request through the shop as spans of OTLP, each with the name of its service. */
function shopTrace(next, entry, startNs, spans) {
  const traceId = hex(next, 32);
  const tenant = ["acme-eu", "acme-us", "globex", "initech"][Math.floor(next() * 4)];
  const isSlow = next() < 0.03;
  const isBroken = next() < 0.09;
  const ms = (usual) => usual * (0.5 + next() * next() * 3) * (isSlow ? 4 : 1);
  const ns = (millis) => BigInt(Math.max(1, Math.round(millis * 1e6)));

  function push(service, name, kind, parent, start, end, more, failed) {
    const span = otlpSpan(next, traceId, name, kind, parent, start, end, { "tenant.id": tenant, ...more }, failed);
    spans.push([service, span]);
    return span;
  }

  function close(span, end) {
    span.endTimeUnixNano = String(end);
  }

  /** The work of one service for one request; gives its end and why it failed, if it did. */
  function work(service, parent, name, start, depth, asConsumer) {
    const system = SHOP[service];
    const [method, route] = name.includes(" /") ? name.split(" ") : ["POST", `/${name}`];
    const server = push(
      service, asConsumer ? `process ${name}` : `${method} ${route}`, asConsumer ? "consumer" : "server", parent, start, start,
      asConsumer
        ? { "messaging.operation.type": "process", "messaging.destination.name": asConsumer.name, "messaging.system": asConsumer.system }
        : { "http.request.method": method, "http.route": route, "url.path": route, "user.id": `user-${Math.floor(next() * 900)}` },
    );
    let clock = start + ns(ms(0.6));
    let failed = "";
    for (const [kind, peer, usual] of system.uses ?? []) {
      const trouble = peer === "api.stripe.example" && isBroken;
      const tries = trouble ? 3 : 1;
      for (let i = 0; i < tries; i++) {
        const end = clock + ns(ms(usual * (trouble ? 2.6 : 1)));
        const { name: op, more } = use(kind, peer, trouble, next);
        const span = push(service, op, "client", server.spanId, clock, end, more, trouble ? "503 Service Unavailable" : "");
        if (trouble) span.events = [exception(end - 2n * MS)];
        clock = end + ns(ms(0.4));
      }
      if (trouble) failed = "payment declined: upstream returned 503 after 3 attempts";
    }
    let latest = clock;
    for (const [to, operation, share] of system.calls ?? []) {
      if (next() > share || depth > DEPTH_MAX || failed) continue;
      const client = push(service, operation, "client", server.spanId, clock, clock, { "http.request.method": operation.split(" ")[0], "server.address": to });
      const done = work(to, client.spanId, operation, clock + ns(ms(0.5)), depth + 1, null);
      const end = done.end + ns(ms(0.4));
      close(client, end);
      client.attributes.push(...attributes({ "http.response.status_code": done.failed ? 502 : 200 }));
      if (done.failed) client.status = { code: 2, message: "502 Bad Gateway" };
      if (done.failed && to !== "recommend") failed = done.failed;
      if (next() < 0.3) latest = latest > end ? latest : end;
      else clock = end + ns(ms(0.3));
      latest = latest > clock ? latest : clock;
    }
    if (!failed && next() < 0.002 * (service === "tracking" ? 14 : 1)) {
      failed = "deadline exceeded";
      server.events = [exception(latest)];
    }
    const end = latest + ns(ms(0.5));
    close(server, end);
    if (failed) server.status = { code: 2, message: failed };
    if (!asConsumer) server.attributes.push(...attributes({ "http.response.status_code": failed ? 500 : 200 }));
    for (const [kind, broker, consumers] of failed ? [] : (system.sends ?? [])) {
      const messaging = { topic: "kafka", queue: "rabbitmq", stream: "aws_kinesis" }[kind];
      const sent = push(service, `send ${broker}`, "producer", server.spanId, end - ns(0.3), end, {
        "messaging.system": messaging, "messaging.destination.name": broker, "messaging.operation.type": "send",
      });
      for (const consumer of consumers) {
        const wait = ns(ms(kind === "queue" ? 400 : 60));
        work(consumer, sent.spanId, broker, end + wait, depth + 1, { name: broker, system: messaging });
      }
    }
    return { end, failed };
  }

  const name = { "mobile-app": "tap home", "web-storefront": "page view" }[entry] ?? "run";
  const root = push(entry, name, "internal", "", startNs, startNs, { "app.version": next() < 0.5 ? "4.2.0" : "4.2.1" });
  const done = work(entry, root.spanId, `GET /${entry}`, startNs + 1000n, 1, null);
  close(root, done.end + 1000n);
  if (done.failed) root.status = { code: 2, message: done.failed };
  return traceId;
}

function use(kind, peer, trouble, next) {
  if (kind === "external") {
    return {
      name: "POST",
      more: { "http.request.method": "POST", "server.address": peer, "url.full": `https://${peer}/v1/charges`, "http.response.status_code": trouble ? 503 : 200 },
    };
  }
  const verb = kind === "redis" ? "GET" : next() < 0.8 ? "SELECT" : "INSERT";
  const text = kind === "redis" ? "GET key:?" : `${verb} ${verb === "SELECT" ? "* FROM" : "INTO"} items WHERE id = ?`;
  return {
    name: `${verb} ${peer}`,
    more: { "db.system.name": kind, "db.namespace": peer, "db.query.text": text, "server.address": `${peer}.internal` },
  };
}

function exception(at) {
  return {
    name: "exception",
    timeUnixNano: String(at),
    attributes: attributes({
      "exception.type": "PaymentDeclinedError",
      "exception.message": "upstream returned 503 after 3 attempts",
      "exception.stacktrace": [
        "PaymentDeclinedError: upstream returned 503 after 3 attempts",
        "    at ChargeClient.post (src/charge.ts:118:11)",
        "    at Payments.charge (src/service.ts:64:22)",
        "    at node:internal/process/task_queues:95:5",
        "    at Layer.handle (node_modules/express/lib/router/layer.js:95:5)",
      ].join("\n"),
    }),
  };
}

/** Sends the shop's requests, spread over the `minutes` before `nowMs`. */
export async function sendShop(url, { traces = 900, seed = 7, nowMs = Date.now(), minutes = 58 } = {}) {
  const next = random(seed);
  const entries = Object.entries(SHOP).filter(([, s]) => s.entry);
  const whole = entries.reduce((sum, [, s]) => sum + s.entry, 0);
  const spans = [];
  const ids = [];
  for (let i = 0; i < traces; i++) {
    let pick = next() * whole;
    const [entry] = entries.find(([, s]) => (pick -= s.entry) <= 0) ?? entries[0];
    const ageMs = Math.round(((i + next()) / traces) * minutes * 60_000) + 15_000;
    ids.push(shopTrace(next, entry, BigInt(nowMs - ageMs) * MS, spans));
  }
  await send(url, spans, "production");
  return { spans: spans.length, ids };
}

/** What each service of the large trace does, and whom it calls in turn. */
const STEPS = {
  catalog: { names: ["Catalog.batchGet", "cache.get", "SELECT items"], calls: ["pricing", "media"] },
  inventory: { names: ["Inventory.reserve", "Inventory.release", "SELECT stock"], calls: ["warehouse"] },
  fraud: { names: ["Fraud.score", "features.get"], calls: ["payments"] },
  recommend: { names: ["Recommend.rank", "cache.get"], calls: ["catalog"] },
  warehouse: { names: ["Warehouse.plan", "optimise"], calls: [] },
  pricing: { names: ["Pricing.quote", "SELECT prices"], calls: [] },
  media: { names: ["Media.resize", "GET object"], calls: [] },
  payments: { names: ["load payment method", "SELECT methods"], calls: [] },
};

/** Sends one trace of exactly `count` spans, seven of which failed; gives its id. */
export async function sendTrace(url, { count = 20_000, seed = 11, nowMs = Date.now() } = {}) {
  const next = random(seed + count);
  const traceId = hex(next, 32);
  const start = BigInt(nowMs - 90_000) * MS;
  const total = 4_820_000_000;
  const spans = [];
  const push = (service, name, kind, parent, from, to, failed = "", more = {}) => {
    const [begun, ended] = [from, to].map((offset) => start + BigInt(Math.round(offset)));
    const span = otlpSpan(next, traceId, name, kind, parent, begun, ended, { "tenant.id": "acme-eu", ...more }, failed);
    if (failed && kind === "client") span.events = [exception(start + BigInt(Math.round(to)) - MS)];
    spans.push([service, span]);
    return span.spanId;
  };
  const root = push("api-gateway", "POST /checkout", "server", "", 0, total, "payment declined", { "http.response.status_code": 500 });
  const bff = push("bff-web", "POST /checkout", "server", root, total * 0.01, total * 0.985, "payment declined");
  push("auth", "POST /token", "client", bff, total * 0.012, total * 0.03);
  const place = push("checkout", "Checkout.place", "server", bff, total * 0.48, total * 0.9, "payment declined");
  const charge = push("payments", "Payments.charge", "server", place, total * 0.62, total * 0.88, "payment declined");
  for (let i = 0; i < 3; i++) {
    const from = total * (0.65 + i * 0.075);
    push("payments", "POST /v1/charges", "client", charge, from, from + total * 0.06, "503 Service Unavailable",
      { "http.request.method": "POST", "url.full": "https://api.stripe.example/v1/charges", "http.response.status_code": 503, "http.request.resend_count": i, "server.address": "api.stripe.example" });
  }
  push("notify", "Notify.enqueue", "producer", bff, total * 0.91, total * 0.915, "", { "messaging.system": "kafka", "messaging.destination.name": "payment-events" });
  const parts = 14;
  for (let part = 0; part < parts; part++) {
    const service = ["catalog", "recommend", "inventory", "fraud"][Math.floor(next() * 4)];
    const left = count - spans.length;
    const room = part === parts - 1 ? left : Math.min(left, Math.floor((count / parts) * (0.4 + next())));
    if (room < 1) continue;
    // The first ten under the page's own service, the others while the order is placed.
    const isEarly = part < 10;
    const from = total * (isEarly ? 0.035 + part * 0.044 : 0.485 + (part - 10) * 0.033);
    grow(push, next, isEarly ? bff : place, service, from, total * 0.03, room);
  }
  await send(url, spans, "load-test");
  return traceId;
}

/** A subtree of exactly `room` spans that takes about `length`. */
function grow(push, next, parent, service, from, length, room) {
  const any = (list) => list[Math.floor(next() * list.length)];
  const name = STEPS[service].names[0];
  const top = push(service, name, "server", parent, from, from + length);
  const queue = [{ id: top, service, from, length, depth: 0 }];
  let left = room - 1;
  while (left > 0) {
    const at = queue[Math.floor(next() * Math.min(queue.length, 24))];
    const many = Math.min(left, 1 + Math.floor(next() * 6));
    let clock = at.from + at.length * 0.02;
    for (let i = 0; i < many; i++) {
      const share = (at.length * 0.94) / many;
      const took = share * (0.3 + next() * 0.6);
      const { calls } = STEPS[at.service];
      const to = calls.length > 0 && next() < 0.12 ? any(calls) : at.service;
      const id = push(to, any(STEPS[to].names), next() < 0.3 ? "client" : "internal", at.id, clock, clock + took);
      if (at.depth < 14) queue.push({ id, service: to, from: clock, length: took, depth: at.depth + 1 });
      clock += share;
    }
    left -= many;
    if (queue.length > 200) queue.splice(0, 20);
  }
}

/** Sends spans by OTLP/HTTP JSON, grouped by service, in requests of a bounded size. */
export async function send(url, spans, environment) {
  for (let from = 0; from < spans.length; from += BATCH_SPANS) {
    const byService = new Map();
    for (const [service, span] of spans.slice(from, from + BATCH_SPANS)) {
      byService.set(service, [...(byService.get(service) ?? []), span]);
    }
    const resourceSpans = [...byService].map(([service, list]) => ({
      resource: {
        attributes: attributes({
          "service.name": service,
          "service.version": "1.8.2",
          "deployment.environment.name": environment,
          "telemetry.sdk.language": LANGUAGE[service.length % LANGUAGE.length],
          "host.name": `${service}-6f9c-1`,
        }),
      },
      scopeSpans: [{ scope: { name: "shop", version: "1.0.0" }, spans: list }],
    }));
    const answer = await fetch(new URL("/v1/traces", url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ resourceSpans }),
    });
    if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
    const { partialSuccess } = await answer.json();
    if (Number(partialSuccess?.rejectedSpans ?? 0) > 0) throw new Error(partialSuccess.errorMessage);
  }
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const [url, what, count] = process.argv.slice(2);
  if (what === "shop") console.log(`${(await sendShop(url, { traces: Number(count ?? 900) })).spans} spans`);
  else if (what === "trace") console.log(await sendTrace(url, { count: Number(count ?? 20_000) }));
  else throw new Error("node systems.js URL shop|trace [COUNT]");
}
