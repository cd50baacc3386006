// Invented systems, made by the server itself from a seed, as `throughline sample` has them made.

/** Has a system made and gives the answer of `POST /api/v1/sample`. */
async function make(url, wanted) {
  const answer = await fetch(new URL("/api/v1/sample", url), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(wanted),
  });
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
  return answer.json();
}

/** A shop of some sixty services; gives the ids of its first traces, the newest first. */
export async function sendShop(url, { count = 900, seed = 7, ...more } = {}) {
  const made = await make(url, { system: "shop", count, seed, environment: "production", ...more });
  return made.traceIds;
}

/** One trace of exactly `count` spans, seven of which failed; gives its id. */
export async function sendTrace(url, { count = 20_000, seed = 11 } = {}) {
  const made = await make(url, { system: "large", count, seed, environment: "load-test" });
  return made.traceIds[0];
}

/** Requests for a ride, in an environment of their own. */
export async function sendRides(url, environment) {
  await make(url, { system: "ride", seed: 5, environment });
}
