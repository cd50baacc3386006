/**
 * Where the cards of the map stand. The server keeps it for everyone; this browser keeps a copy, which
 * holds when the server cannot be asked.
 */
import { keepPlaces, pagePlaces } from "../api/client";
import { recallJson, remember } from "../shared/storage";
import type { Points } from "./bands";

/** Which map: its environment, and whether services stand in groups there. */
export interface MapKey {
  readonly environment: string | null;
  readonly isGrouped: boolean;
}

/** The server knows one set of places for an environment: those of groups have a prefix. */
const GROUPED = "grouped:";

const known = new Map<string | null, Record<string, readonly number[]>>();

/** Asks the server for the places of an environment. Never fails: then the browser's copy holds. */
export async function loadPlaces(environment: string | null, signal: AbortSignal): Promise<void> {
  try {
    known.set(environment, { ...(await pagePlaces(environment, signal)).places });
  } catch {
    if (!signal.aborted) known.delete(environment);
  }
}

export function recallPlaces(key: MapKey): Points {
  const kept = known.get(key.environment);
  if (!kept) return recallJson(local(key), isPoints, {});
  const points: Record<string, { x: number; y: number }> = {};
  for (const [name, [x, y]] of Object.entries(kept)) {
    const isOfGroups = name.startsWith(GROUPED);
    if (isOfGroups !== key.isGrouped || x === undefined || y === undefined) continue;
    points[isOfGroups ? name.slice(GROUPED.length) : name] = { x, y };
  }
  return points;
}

/** Cards that are away keep their place: they may come back. Only what is new goes to the server. */
export function rememberPlaces(key: MapKey, places: Points): void {
  remember(local(key), JSON.stringify({ ...recallJson(local(key), isPoints, {}), ...places }));
  const kept = known.get(key.environment);
  if (!kept) return;
  const changed: Record<string, readonly number[]> = {};
  for (const [id, { x, y }] of Object.entries(places)) {
    const name = key.isGrouped ? GROUPED + id : id;
    const [keptX, keptY] = kept[name] ?? [];
    if (keptX !== x || keptY !== y) changed[name] = [x, y];
  }
  if (Object.keys(changed).length === 0) return;
  Object.assign(kept, changed);
  send(key.environment, changed);
}

/** Everything is to be arranged anew. */
export function forgetPlaces(key: MapKey): void {
  remember(local(key), "{}");
  const kept = known.get(key.environment);
  if (!kept) return;
  const gone: Record<string, null> = {};
  for (const name of Object.keys(kept)) {
    if (name.startsWith(GROUPED) !== key.isGrouped) continue;
    gone[name] = null;
    delete kept[name];
  }
  send(key.environment, gone);
}

/** One after the other, so that what is sent last also arrives last. */
let sending: Promise<void> = Promise.resolve();

function send(environment: string | null, places: Record<string, readonly number[] | null>): void {
  // A place that the server did not take is taken the next time; nobody waits for it.
  sending = sending.then(() => keepPlaces(environment, { places }).catch(() => undefined));
}

const local = ({ environment, isGrouped }: MapKey) =>
  `places.${environment ?? "*"}${isGrouped ? " grouped" : ""}`;

function isPoints(value: unknown): value is Points {
  return (
    typeof value === "object" &&
    value !== null &&
    Object.values(value).every(
      (p: { x?: number; y?: number } | null) => Number.isFinite(p?.x) && Number.isFinite(p?.y),
    )
  );
}
