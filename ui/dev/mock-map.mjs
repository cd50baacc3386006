/** DEVELOPMENT ONLY: an invented shop with services, databases, brokers and outside APIs. */

const CALLS = `
web-storefront>api-gateway mobile-app>api-gateway signup-web>signup-fn api-gateway>bff-web
api-gateway>bff-mobile api-gateway>auth api-gateway>producer-fn bff-web>checkout bff-mobile>checkout
bff-web>search bff-mobile>search bff-web>recommend bff-web>cart bff-mobile>cart bff-web>catalog
bff-mobile>catalog recommend>catalog checkout>payments checkout>orders checkout>cart
checkout>inventory payments>fraud payments>ledger catalog>pricing catalog>media catalog>reviews
pricing>promo warehouse>inventory picker>shipping notify>templates cart>pricing
signup-fn~signup-topic signup-topic~notify producer-fn~lab-stream lab-stream~consumer-fn
payments~payment-events payment-events~invoice payment-events~analytics-stream
orders~order-events order-events~warehouse order-events~notify order-events~analytics-stream
analytics-stream~etl warehouse~pick-queue pick-queue~picker shipping~ship-events ship-events~tracking
ship-events~notify notify~email-queue email-queue~email-sender notify~push-queue push-queue~push-sender
payments>stripe-api payments>payments-db orders>orders-db checkout>sessions-db cart>cart-redis
catalog>catalog-db auth>session-cache auth>users-db search>search-index recommend>feature-store
fraud>fraud-features ledger>ledger-db pricing>pricing-db media>s3-media reviews>reviews-db
inventory>inventory-db signup-fn>signup-table shipping>carrier-api tracking>tracking-db
etl>warehouse-dw invoice>invoice-s3 email-sender>ses bff-web>sessions-db`;

const BAD = {
  "payments>stripe-api": 0.083,
  "checkout>payments": 0.071,
  "bff-web>checkout": 0.052,
  "bff-mobile>checkout": 0.054,
  "ship-events~tracking": 0.021,
};

/** The same numbers on every call: a hash stands in for chance. */
function chance(text) {
  let h = 2166136261;
  for (const c of text) h = Math.imul(h ^ c.charCodeAt(0), 16777619) >>> 0;
  return (h % 10_000) / 10_000;
}

function kindOf(name) {
  if (/-(topic|events)$/.test(name)) return ["topic", "sns"];
  if (/-stream$/.test(name)) return ["stream", "kinesis"];
  if (/-queue$/.test(name)) return ["queue", "sqs"];
  if (/(-api|^ses|s3)/.test(name)) return ["external", null];
  if (/(-db|-redis|-cache|-index|-table|-dw|-store|-features)$/.test(name)) {
    return [
      "database",
      /redis|cache/.test(name) ? "redis" : /table/.test(name) ? "dynamodb" : "postgresql",
    ];
  }
  return ["service", null];
}

const id = (name) => `${kindOf(name)[0]}:${name}`;

export function serviceMap(limit) {
  const nodes = new Map();
  const edges = [];
  for (const call of limit === 0 ? [] : CALLS.trim().split(/\s+/)) {
    const [from, to] = call.split(/[>~]/);
    for (const name of [from, to])
      if (!nodes.has(name) && nodes.size < limit + 20) nodes.set(name, node(name));
    if (!nodes.has(from) || !nodes.has(to)) continue;
    const requests = Math.round(3600 * 10 ** (chance(call) * 2.4));
    const share = BAD[call] ?? chance(`${call}!`) * 0.004;
    edges.push({
      from: id(from),
      to: id(to),
      kind: call.includes("~") ? "async" : "sync",
      requests,
      errors: Math.round(requests * share),
      ...times(call, share),
      evidence: [
        call === "lab-stream~consumer-fn" ? "inferred" : call.includes("~") ? "link" : "parent",
      ],
    });
  }
  for (const n of nodes.values()) {
    const into = edges.filter((e) => e.to === n.id);
    n.requests = into.reduce((sum, e) => sum + e.requests, 0) || 40_000;
    n.errors = into.reduce((sum, e) => sum + e.errors, 0);
  }
  const now = BigInt(Date.now()) * 1_000_000n;
  return {
    nodes: [...nodes.values()],
    edges,
    fromUnixNano: String(now - 3_600_000_000_000n),
    toUnixNano: String(now),
  };
}

function node(name) {
  const [kind, system] = kindOf(name);
  return {
    id: id(name),
    name,
    kind,
    system,
    inferred: kind !== "service",
    requests: 0,
    errors: 0,
    ...times(name, 0),
  };
}

function times(seed, share) {
  const p95Nano = Math.round(5e6 * 10 ** (chance(`${seed}t`) * 1.9) * (share > 0.05 ? 5 : 1));
  return { p50Nano: Math.round(p95Nano / 3.1), p95Nano, p99Nano: Math.round(p95Nano * 1.9) };
}
