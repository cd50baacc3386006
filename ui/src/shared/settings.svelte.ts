/** Theme, time zone and service colours: chosen once, the same on every screen. */
import { chooseSlot, SLOTS, slotColor, type Theme } from "../model/service-color";
import type { Zone } from "../model/units";
import { router } from "./router.svelte";
import { recall, recallJson, remember } from "./storage";
import { chooseTheme } from "./theme";

class Settings {
  #rememberedTheme = $state(recall("theme"));
  #rememberedZone = $state(recall("tz"));
  #systemIsDark = $state(matchMedia("(prefers-color-scheme: dark)").matches);
  /** Whether movement is unwanted. */
  reducedMotion = $state(matchMedia("(prefers-reduced-motion: reduce)").matches);

  readonly theme: Theme = $derived(
    chooseTheme(router.get("theme"), this.#rememberedTheme, this.#systemIsDark),
  );
  readonly zone: Zone = $derived(
    (router.get("tz") ?? this.#rememberedZone) === "local" ? "local" : "utc",
  );

  constructor() {
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (e) => {
      this.#systemIsDark = e.matches;
    });
    matchMedia("(prefers-reduced-motion: reduce)").addEventListener("change", (e) => {
      this.reducedMotion = e.matches;
    });
  }

  toggleTheme(): void {
    const next = this.theme === "dark" ? "light" : "dark";
    remember("theme", next);
    this.#rememberedTheme = next;
    if (router.get("theme") !== null) router.tune({ theme: null });
  }

  chooseZone(zone: Zone): void {
    remember("tz", zone);
    this.#rememberedZone = zone;
    if (router.get("tz") !== null) router.tune({ tz: null });
  }
}

export const settings = new Settings();

/** The slots given out so far. Remembered by this browser until the server keeps them for everyone. */
const slots = new Map<string, number>(
  Object.entries(
    recallJson(
      "slots",
      (v): v is Record<string, number> =>
        typeof v === "object" && v !== null && Object.values(v).every((n) => Number.isInteger(n)),
      {},
    ),
  ),
);
const used = new Array<number>(SLOTS).fill(0);
for (const slot of slots.values()) used[slot] = (used[slot] ?? 0) + 1;

let slotsAreSaved = true;

function slotOf(service: string): number {
  const known = slots.get(service);
  if (known !== undefined) return known;
  const slot = chooseSlot(service, used);
  slots.set(service, slot);
  used[slot] = (used[slot] ?? 0) + 1;
  if (slotsAreSaved) {
    slotsAreSaved = false;
    queueMicrotask(() => {
      slotsAreSaved = true;
      remember("slots", JSON.stringify(Object.fromEntries(slots)));
    });
  }
  return slot;
}

/** The colour of a service in the theme that holds. Reactive to the theme. */
export function serviceColor(service: string): string {
  return slotColor(slotOf(service), settings.theme);
}
