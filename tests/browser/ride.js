// Requests for a ride, as the demonstration that many tracers come with has them: a page asks who the
// customer is, who is near, and the ways of ten drivers, three at a time. One redis in a few is slow
// and fails. Four services, two stores, some fifty spans a request.
import assert from "node:assert/strict";
import { hex, otlpSpan, random, send } from "./systems.js";

export const RIDE_ENVIRONMENT = "rides";
const CUSTOMERS = ["Rachel's Floral Designs", "Trom Chocolatier", "Japanese Desserts", "Amazing Coffee Roasters"];
const DRIVERS = 10;
const LANES = 3;
const MS = 1_000_000;

/** Sends the requests; gives the id of one in which a look-up failed. */
export async function sendRides(url, { rides = 40, seed = 5, nowMs = Date.now() } = {}) {
  const next = random(seed);
  const spans = [];
  let failing = "";
  for (let i = 0; i < rides; i++) {
    const start = BigInt(nowMs - 20_000 - Math.round((i / rides) * 1_500_000)) * BigInt(MS);
    const { traceId, misses } = ride(next, start, spans);
    if (misses > 0) failing ||= traceId;
  }
  await send(url, spans, RIDE_ENVIRONMENT);
  return failing;
}

function ride(next, startNano, spans) {
  const traceId = hex(next, 32);
  const about = (usual) => usual * MS * (0.7 + next() * 0.6);
  const put = (service, name, kind, parent, from, to, more = {}, failed = "") => {
    const [begun, ended] = [from, to].map((offset) => startNano + BigInt(Math.round(offset)));
    const span = otlpSpan(next, traceId, name, kind, parent, begun, ended, more, failed);
    spans.push([service, span]);
    return span;
  };
  /** A call from one service to another; `work` gives when it is done. */
  const call = (from, to, name, parent, at, work) => {
    const client = put(from, name, "client", parent, at, at, { "server.address": to });
    const server = put(to, name, "server", client.spanId, at + MS / 4, at);
    const end = work(server.spanId, at + MS / 2);
    server.endTimeUnixNano = String(startNano + BigInt(Math.round(end + MS / 4)));
    client.endTimeUnixNano = String(startNano + BigInt(Math.round(end + MS / 2)));
    return end + MS / 2;
  };
  const customer = CUSTOMERS[Math.floor(next() * CUSTOMERS.length)];
  const root = put("frontend", "GET /dispatch", "server", "", 0, 0, { "http.route": "/dispatch", "ride.customer": customer });
  let clock = call("frontend", "customer", "GET /customer", root.spanId, MS, (server, at) => {
    const end = at + about(300);
    const more = { "db.system.name": "mysql", "db.namespace": "customers", "db.query.text": "SELECT * FROM customer WHERE customer_id=?" };
    put("customer", "SELECT customers", "client", server, at, end, more);
    return end;
  });
  let misses = 0;
  clock = call("frontend", "driver", "driver.DriverService/FindNearest", root.spanId, clock, (server, from) => {
    const redis = { "db.system.name": "redis", "db.namespace": "drivers" };
    let at = from + about(18);
    put("driver", "FindDriverIDs", "client", server, from, at, redis);
    for (let i = 0; i < DRIVERS; i++) {
      const isSlow = next() < 0.12;
      if (isSlow) {
        const end = at + about(34);
        put("driver", "GetDriver", "client", server, at, end, redis, "redis timeout");
        misses += 1;
        at = end;
      }
      const end = at + about(9);
      put("driver", "GetDriver", "client", server, at, end, redis);
      at = end;
    }
    return at;
  });
  const lanes = new Array(LANES).fill(clock);
  for (let i = 0; i < DRIVERS; i++) {
    const lane = lanes.indexOf(Math.min(...lanes));
    lanes[lane] = call("frontend", "route", "GET /route", root.spanId, lanes[lane], (_server, at) => at + about(50));
  }
  root.endTimeUnixNano = String(startNano + BigInt(Math.round(Math.max(...lanes) + MS)));
  return { traceId, misses };
}

/** The screens that are looked at, as in `screens.js`. */
export function rideScreens(failing) {
  const env = `env=${RIDE_ENVIRONMENT}`;
  return [
    ["ride-map", `/map?${env}`, (page) => page.getByRole("button", { name: /^frontend service/ }).waitFor()],
    ["ride-trace", `/t/${failing}?${env}`, (page) => page.getByRole("heading", { name: "Resource" }).waitFor()],
  ];
}

export async function walkRides({ page, open, step, failing }) {
  await step("a ride is four services, each store under the one that uses it", async () => {
    await open(`/map?env=${RIDE_ENVIRONMENT}`);
    for (const service of ["frontend", "customer", "driver", "route"]) {
      await page.getByRole("button", { name: new RegExp(`^${service} service`) }).waitFor();
    }
    const docked = await page.getByRole("button", { name: /^(customer|driver) service/ }).allInnerTexts();
    assert.match(docked.join("\n"), /customers[\s\S]*drivers|drivers[\s\S]*customers/);
  });

  await step("its trace opens on the look-up that failed, and counts ten routes", async () => {
    await open(`/t/${failing}`);
    const panel = page.getByRole("complementary", { name: "Selected span" });
    await panel.getByRole("heading", { name: "GetDriver" }).waitFor();
    await panel.getByText("redis timeout").first().waitFor();
    await page.getByRole("tab", { name: "Span table" }).click();
    const line = page.getByRole("region", { name: "Span table" }).getByRole("button", { name: /route GET \/route/ });
    assert.match(await line.innerText(), new RegExp(`\\b${DRIVERS}\\b`));
  });
}
