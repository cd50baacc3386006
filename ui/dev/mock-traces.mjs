/** DEVELOPMENT ONLY: invented traces, one of any size and one small one with every kind of oddity. */

const hex = (n, width) => n.toString(16).padStart(width, "0");

/** A linear congruential generator: the same trace on every start. */
function dice(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

class Builder {
  constructor(traceId, startMs) {
    this.services = [];
    this.names = [];
    this.rows = [];
    this.eventTimes = [];
    this.traceId = traceId;
    this.startMs = startMs;
  }

  table(list, text) {
    const at = list.indexOf(text);
    return at >= 0 ? at : list.push(text) - 1;
  }

  add(parent, service, name, start, duration, more = {}) {
    const row = this.rows.length;
    this.rows.push({
      parent,
      missing: "",
      service: this.table(this.services, service),
      name: this.table(this.names, name),
      kind: 1,
      status: 0,
      start: Math.round(start),
      duration: duration === null ? null : Math.round(duration),
      message: "",
      links: 0,
      ...more,
    });
    for (const at of more.at ?? []) this.eventTimes.push([row, Math.round(at)]);
    return row;
  }

  build() {
    const rows = this.rows;
    const column = (read) => rows.map(read);
    const end = rows.reduce((max, r) => Math.max(max, r.start + Math.max(0, r.duration ?? 0)), 0);
    const view = {
      traceId: this.traceId,
      startUnixNano: String(BigInt(this.startMs) * 1_000_000n),
      durationNano: end,
      rootService: this.services[rows[0].service],
      rootName: this.names[rows[0].name],
      environment: "production",
      spanCount: rows.length,
      errorCount: rows.filter((r) => r.status === 2).length,
      services: this.services,
      names: this.names,
      spans: {
        spanId: column((_, i) => hex(i + 0xa1000, 16)).map((s, i) => rows[i].id ?? s),
        parent: column((r) => r.parent),
        missingParent: column((r) => r.missing),
        service: column((r) => r.service),
        name: column((r) => r.name),
        kind: column((r) => r.kind),
        status: column((r) => r.status),
        start: column((r) => r.start),
        duration: column((r) => r.duration),
        events: column((r) => r.at?.length ?? 0),
        links: column((r) => r.links),
        statusMessage: column((r) => r.message),
      },
      eventTimes: this.eventTimes,
    };
    return { view, span: (id) => detail(view, id) };
  }
}

const KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"];

function detail(view, id) {
  const s = view.spans;
  const i = s.spanId.indexOf(id);
  if (i < 0) return null;
  const failed = s.status[i] === 2;
  const start = BigInt(view.startUnixNano) + BigInt(s.start[i]);
  const attributes = [
    ["http.request.method", "string", "POST"],
    [
      "url.full",
      "string",
      "https://api.stripe.com/v1/charges?expand[]=balance_transaction&idempotency_key=ord_8f2c1c0a",
    ],
    ["http.response.status_code", "int", failed ? 503 : 200],
    ["http.request.resend_count", "int", 3],
    ["server.address", "string", "api.stripe.com"],
    ["peer.service", "string", "stripe-api"],
    ["payment.amount", "double", 42.5],
    ["tenant.id", "string", "acme-eu"],
    ["cart.items", "array", ["sku-1", "sku-2"]],
  ].map(([key, type, value]) => ({ key, type, value }));
  const exception = {
    name: "exception",
    timeUnixNano: String(start + BigInt(Math.max(0, Math.round((s.duration[i] ?? 0) / 2)))),
    offsetNano: s.start[i] + Math.round((s.duration[i] ?? 0) / 2),
    attributes: [
      { key: "exception.type", type: "string", value: "PaymentDeclinedError" },
      { key: "exception.message", type: "string", value: "upstream returned 503 after 3 attempts" },
      {
        key: "exception.stacktrace",
        type: "string",
        value:
          "PaymentDeclinedError: upstream returned 503 after 3 attempts\n    at ChargeClient.post (charge.ts:118:11)\n    at Payments.charge (service.ts:64:22)\n    at processTicksAndRejections (node:internal/process/task_queues:95:5)\n    at async Router.handle (node_modules/router/index.js:41:7)",
      },
    ],
  };
  const retry = {
    name: "retry",
    timeUnixNano: String(start + 1_000_000n),
    offsetNano: s.start[i] + 1_000_000,
    attributes: [{ key: "attempt", type: "int", value: 2 }],
  };
  return {
    spanId: id,
    parentSpanId: s.parent[i] >= 0 ? s.spanId[s.parent[i]] : s.missingParent[i],
    traceId: view.traceId,
    name: view.names[s.name[i]],
    kind: KINDS[s.kind[i]],
    service: view.services[s.service[i]],
    startUnixNano: String(start),
    durationNano: s.duration[i],
    status: { code: ["unset", "ok", "error"][s.status[i]], message: s.statusMessage[i] },
    traceState: "",
    flags: 257,
    attributes,
    resource: [
      ["service.name", view.services[s.service[i]]],
      ["service.version", "1.8.2"],
      ["deployment.environment.name", "production"],
      ["telemetry.sdk.language", "nodejs"],
      ["host.name", "ip-10-0-3-17"],
    ].map(([key, value]) => ({ key, type: "string", value })),
    scope: { name: "@opentelemetry/instrumentation-http", version: "0.57.1", attributes: [] },
    events: failed ? [retry, exception] : s.events[i] > 0 ? [retry] : [],
    links:
      s.links[i] > 0
        ? [
            {
              traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
              spanId: hex(0xa1003, 16),
              traceState: "",
              attributes: [
                { key: "messaging.destination.name", type: "string", value: "payment-events" },
              ],
            },
          ]
        : [],
    droppedAttributes: failed ? 2 : 0,
    droppedEvents: 0,
    droppedLinks: 0,
  };
}

const MS = 1e6;
const WORK = [
  ["cart", "cart.get"],
  ["catalog", "Catalog.batchGet"],
  ["pricing", "price.lookup"],
  ["inventory", "SELECT items"],
  ["promo", "promo.match"],
  ["warehouse", "optimise"],
  ["search", "query"],
];

/** A checkout that fails at the payment, with `size` spans of detail beneath. */
export function bigTrace(size, traceId) {
  const b = new Builder(traceId, Date.now() - 240_000);
  const random = dice(7);
  const failed = (message, at) => ({ status: 2, message, ...(at ? { at: [at] } : {}) });
  const root = b.add(-1, "api-gateway", "POST /checkout", 0, 4820 * MS, {
    kind: 2,
    ...failed("500"),
  });
  const bff = b.add(root, "bff-web", "POST /checkout", 12 * MS, 4790 * MS, {
    kind: 2,
    ...failed(""),
  });
  const fill = (parent, from, to, budget) => {
    let left = budget;
    let at = from;
    while (left > 0) {
      const [service, name] = WORK[Math.floor(random() * WORK.length)];
      const length = Math.min((to - from) * (0.02 + random() * 0.1), to - at);
      if (length <= 0) {
        at = from;
        continue;
      }
      const row = b.add(parent, service, name, at, length, { kind: random() < 0.4 ? 3 : 1 });
      left -= 1;
      const below = Math.min(left, Math.floor(random() * 40));
      if (below > 0 && length > 2 * MS) {
        fill(row, at + length * 0.05, at + length * 0.9, below);
        left -= below;
      }
      at += length * (0.4 + random());
      if (at > to) at = from + random() * (to - from) * 0.5;
    }
  };
  for (const [service, name, from, to, share] of [
    ["cart", "Cart.load", 20, 360, 0.12],
    ["catalog", "Catalog.assemble", 400, 1180, 0.34],
  ]) {
    const row = b.add(bff, service, name, from * MS, (to - from) * MS, { kind: 2 });
    fill(row, from * MS, to * MS, Math.floor(size * share));
  }
  const place = b.add(bff, "checkout", "Checkout.place", 1200 * MS, 3420 * MS, {
    kind: 2,
    ...failed("payment failed", 2900 * MS),
  });
  fill(
    b.add(place, "checkout", "validate order", 1220 * MS, 96 * MS),
    1220 * MS,
    1316 * MS,
    Math.floor(size * 0.03),
  );
  fill(
    b.add(place, "inventory", "Inventory.reserve", 1330 * MS, 520 * MS, { kind: 2 }),
    1330 * MS,
    1850 * MS,
    Math.floor(size * 0.14),
  );
  fill(
    b.add(place, "fraud", "Fraud.score", 1860 * MS, 410 * MS, { kind: 2 }),
    1860 * MS,
    2270 * MS,
    Math.floor(size * 0.08),
  );
  const charge = b.add(place, "payments", "Payments.charge", 2280 * MS, 2120 * MS, {
    kind: 2,
    ...failed("declined", 3340 * MS),
  });
  fill(
    b.add(charge, "payments", "load payment method", 2290 * MS, 118 * MS),
    2290 * MS,
    2408 * MS,
    Math.floor(size * 0.03),
  );
  for (const [from, length] of [
    [2420, 486],
    [3100, 504],
    [3860, 512],
  ]) {
    b.add(charge, "payments", "POST /v1/charges", from * MS, length * MS, {
      kind: 3,
      links: 1,
      ...failed("503 Service Unavailable", (from + length / 2) * MS),
    });
  }
  fill(
    b.add(place, "inventory", "Inventory.release", 4420 * MS, 190 * MS, { kind: 2 }),
    4420 * MS,
    4610 * MS,
    Math.floor(size * 0.12),
  );
  const notify = b.add(bff, "notify", "Notify.enqueue", 4630 * MS, 24 * MS, { kind: 4 });
  fill(notify, 4631 * MS, 4650 * MS, Math.max(3, size - b.rows.length - 1));
  return b.build();
}

/** A dozen spans with a lost parent, a lying clock, a span without an end and a message. */
export function smallTrace(traceId) {
  const b = new Builder(traceId, Date.now() - 900_000);
  const root = b.add(-1, "web-storefront", "GET /orders/{id}", 0, 180 * MS, { kind: 2 });
  const api = b.add(root, "orders", "GET /orders/{id}", 9 * MS, 150 * MS, { kind: 2 });
  b.add(api, "orders", "SELECT orders", 14 * MS, 22 * MS, { kind: 3, at: [20 * MS] });
  b.add(api, "orders", "cache.get", 40 * MS, 1.2 * MS, { kind: 3 });
  b.add(api, "orders", "publish order-viewed", 60 * MS, 4 * MS, { kind: 4 });
  b.add(api, "pricing", "clock runs backwards", 80 * MS, -38 * MS, { kind: 2 });
  b.add(api, "orders", "stream response", 90 * MS, null, {});
  const late = b.add(-1, "analytics", "process order-viewed", 210 * MS, 34 * MS, {
    kind: 5,
    missing: "00f067aa0ba902b7",
    links: 1,
  });
  b.add(late, "analytics", "INSERT events", 216 * MS, 20 * MS, { kind: 3 });
  b.add(-1, "orders", "flush metrics", 170 * MS, 8 * MS, { missing: "deadbeefdeadbeef" });
  return b.build();
}

export function summaries(limit, traces) {
  const random = dice(3);
  const now = Date.now();
  const held = traces.map(({ view }) => summary(view));
  const roots = [
    ["web-storefront", "GET /products/{id}"],
    ["mobile-app", "GET /home"],
    ["api-gateway", "POST /checkout"],
    ["signup-web", "POST /signup"],
    ["bff-web", "GET /search"],
  ];
  for (let i = 0; held.length < Math.min(limit, 48); i++) {
    const [rootService, rootName] = roots[i % roots.length];
    const bad = random() < 0.2;
    held.push({
      traceId: hex(Math.floor(random() * 2 ** 32), 8).repeat(4),
      rootService,
      rootName,
      startTimeUnixNano: String(BigInt(now - i * 41_000 - 20_000) * 1_000_000n),
      durationNano: Math.round(10 ** (6.6 + random() * 2.9)),
      spanCount: Math.round(3 + random() * 240),
      errorCount: bad ? 1 + Math.floor(random() * 4) : 0,
      services: [rootService, "api-gateway", "catalog", "pricing", "cart"].slice(0, 2 + (i % 4)),
      environment: "production",
      failing: bad ? { service: "payments", name: "POST /v1/charges", message: "503" } : null,
      rootMissing: i % 17 === 5,
      matchedSpans: 1 + (i % 5),
    });
  }
  return held;
}

function summary(v) {
  const failing =
    v.errorCount > 0
      ? { service: "payments", name: "POST /v1/charges", message: "503 Service Unavailable" }
      : null;
  return {
    traceId: v.traceId,
    rootService: v.rootService,
    rootName: v.rootName,
    startTimeUnixNano: v.startUnixNano,
    durationNano: v.durationNano,
    spanCount: v.spanCount,
    errorCount: v.errorCount,
    services: v.services,
    environment: v.environment,
    failing,
    rootMissing: false,
    matchedSpans: 3,
  };
}
