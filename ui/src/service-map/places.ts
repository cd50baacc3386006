/** Where the user's cards are, remembered by this browser per environment. (Server side: a later issue.) */
import { recallJson, remember } from "../shared/storage";
import type { Kept } from "./layout";

type Places = Record<string, Kept>;

const key = (environment: string | null) => `places.${environment ?? "*"}`;

export function recallPlaces(environment: string | null): Places {
  return recallJson(key(environment), isPlaces, {});
}

/** Cards that are away keep their place: they may come back. */
export function rememberPlaces(environment: string | null, places: Places): void {
  remember(key(environment), JSON.stringify({ ...recallPlaces(environment), ...places }));
}

export function forgetPlaces(environment: string | null): void {
  remember(key(environment), "{}");
}

function isPlaces(value: unknown): value is Places {
  return (
    typeof value === "object" &&
    value !== null &&
    Object.values(value).every(
      (p: Partial<Kept> | null) =>
        Number.isFinite(p?.x) &&
        Number.isFinite(p?.y) &&
        (p?.band === "sync" || p?.band === "later"),
    )
  );
}
