// Requests for a ride, as the demonstration that many tracers come with has them: four services, two
// stores, the ways of ten drivers, three at a time.
import assert from "node:assert/strict";
import { sendRides } from "./systems.js";

const RIDE_ENVIRONMENT = "rides";
const DRIVERS = 10;

/** Has the requests made; gives the id of one in which a look-up failed. */
export async function makeRides(server) {
  await sendRides(server.url, RIDE_ENVIRONMENT);
  const q = encodeURIComponent("status = error");
  const { traces } = await server.json(`/api/v1/search?q=${q}&environment=${RIDE_ENVIRONMENT}&limit=1`);
  return traces[0].traceId;
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
