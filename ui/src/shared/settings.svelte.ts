/** Theme, time zone and service colours: chosen once, the same on every screen. */
import { keepPlaces, pagePlaces } from "../api/client";
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

/**
 * The slots given out so far. The server keeps them for everyone, so that a service has its colour in
 * every browser; this browser's copy is what the page begins with, and all there is without a server.
 */
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
function countSlots(): void {
  used.fill(0);
  for (const slot of slots.values()) used[slot] = (used[slot] ?? 0) + 1;
}
countSlots();

/** Grows when the server's slots come, so that what is drawn is drawn again. */
let slotsVersion = $state(0);
/** What was seen here and the server does not have; `null` when it cannot be asked. */
let unsent: Set<string> | null = new Set();
let isAnswered = false;
/** Names for which the server has a slot, or is about to be told one. */
const settled = new Set<string>();

pagePlaces(null, new AbortController().signal).then(
  ({ colors }) => {
    for (const [service, slot] of Object.entries(colors)) {
      if (Number.isInteger(slot) && slot >= 0 && slot < SLOTS) slots.set(service, slot);
      settled.add(service);
      unsent?.delete(service);
    }
    countSlots();
    isAnswered = true;
    slotsVersion += 1;
    saveSoon();
  },
  () => {
    unsent = null;
  },
);

const SAVE_MS = 400;
let isSaving = false;

function saveSoon(): void {
  if (isSaving) return;
  isSaving = true;
  setTimeout(() => {
    isSaving = false;
    remember("slots", JSON.stringify(Object.fromEntries(slots)));
    if (!isAnswered || !unsent || unsent.size === 0) return;
    const colors = Object.fromEntries([...unsent].map((s) => [s, slots.get(s) ?? 0]));
    unsent.clear();
    keepPlaces(null, { colors }).catch(() => undefined);
  }, SAVE_MS);
}

function slotOf(service: string): number {
  let slot = slots.get(service);
  if (slot === undefined) {
    slot = chooseSlot(service, used);
    slots.set(service, slot);
    used[slot] = (used[slot] ?? 0) + 1;
  }
  if (!settled.has(service)) {
    settled.add(service);
    unsent?.add(service);
    saveSoon();
  }
  return slot;
}

/** The slot of the colour of a service, for what is drawn outside of the page. */
export const serviceSlot = slotOf;

/** The colour of a service in the theme that holds. Reactive to the theme and to the server's slots. */
export function serviceColor(service: string): string {
  void slotsVersion;
  return slotColor(slotOf(service), settings.theme);
}
