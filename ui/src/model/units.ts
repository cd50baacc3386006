/**
 * How durations, rates, counts and times are said. Pure: the clock and the zone are parameters.
 */
import type { UnixNanos } from "./ids";

export type Zone = "utc" | "local";

const UNITS: readonly [number, string][] = [
  [3_600e9, "h"],
  [60e9, "min"],
  [1e9, "s"],
  [1e6, "ms"],
  [1e3, "µs"],
];

/** `1.24 s`, `486 ms`, `692 µs`; three digits, as many as a person compares. */
export function formatDuration(ns: number | null): string {
  if (ns === null) return "…";
  if (ns < 0) return `−${formatDuration(-ns)}`;
  for (const [size, name] of UNITS) {
    // 999.6 µs reads as 1.00 ms, not as 1000 µs.
    if (ns >= size * 0.9995) return `${threeDigits(ns / size)} ${name}`;
  }
  return `${Math.round(ns)} ns`;
}

/** A time before or after another: `+31.6 ms`, `−608 ms`. */
export function formatOffset(ns: number): string {
  return ns < 0 ? formatDuration(ns) : `+${formatDuration(ns)}`;
}

/** Axis ticks share one unit and only the digits their step needs. */
export function formatTick(ns: number, stepNs: number): string {
  if (ns === 0) return "0";
  const [size, name] = UNITS.find(([s]) => ns >= s * 0.9995) ?? [1, "ns"];
  const digits = Math.max(0, Math.min(3, Math.ceil(-Math.log10(stepNs / size) - 1e-9)));
  return `${(ns / size).toFixed(digits)} ${name}`;
}

/** `73/s`, `4.2/min`: requests over a range of nanoseconds. */
export function formatRate(count: number, rangeNs: number): string {
  if (count === 0 || rangeNs <= 0) return "0/s";
  const perSecond = count / (rangeNs / 1e9);
  if (perSecond >= 0.95) return `${twoDigits(perSecond)}/s`;
  if (perSecond * 60 >= 0.95) return `${twoDigits(perSecond * 60)}/min`;
  return `${twoDigits(perSecond * 3600)}/h`;
}

/** `7.1%`, `0.02%`, `<0.01%`; an exact zero is `0%`. */
export function formatShare(part: number, whole: number): string {
  if (whole === 0 || part === 0) return "0%";
  const percent = (part / whole) * 100;
  if (percent < 0.01) return "<0.01%";
  return `${percent >= 99.95 ? "100" : percent.toFixed(percent < 1 ? 2 : percent < 10 ? 1 : 0)}%`;
}

/** `▲ 6.4×`, `▼ 0.5×`, `±0`: a number against what it was; `null` when there was nothing before. */
export function formatChange(now: number, before: number | undefined): string | null {
  if (before === undefined || (before === 0 && now !== 0)) return null;
  if (now === before) return "±0";
  const ratio = now / before;
  if (ratio > 0.95 && ratio < 1.05) return "±0";
  const digits = ratio >= 9.95 ? 0 : ratio < 0.1 ? 2 : 1;
  return `${ratio > 1 ? "▲" : "▼"} ${ratio.toFixed(digits)}×`;
}

/**
 * `7`, `20,000`. By hand: the first answer of `Intl.NumberFormat` takes two frames, and every screen
 * begins with a count.
 */
export function formatCount(value: number): string {
  return String(Math.round(value)).replace(THOUSANDS, ",");
}

/** Between digits that three, six, … digits follow. */
const THOUSANDS = /(?<=\d)(?=(?:\d{3})+$)/g;

/** Whole milliseconds since the epoch; the rest of the nanoseconds is cut. */
export function unixMs(at: UnixNanos | string): number {
  return at === "" ? Number.NaN : Number(BigInt(at) / 1_000_000n);
}

/** `12:04:11.482`, with the day in front when it is not today. */
export function formatTime(ms: number, zone: Zone, nowMs: number): string {
  if (Number.isNaN(ms)) return "";
  const at = inZone(ms, zone);
  return isSameDay(ms, nowMs, zone) ? clock(at) : `${day(at)} ${clock(at)}`;
}

/** A moment of an axis: `12:04`, `12:04:11`, and `21 Nov` for midnight. */
export function formatMoment(ms: number, zone: Zone): string {
  const at = inZone(ms, zone);
  const time = clock(at).slice(0, at.getUTCSeconds() === 0 ? 5 : 8);
  return time === "00:00" ? day(at) : time;
}

/** Whether two moments are of one day of the zone's calendar. */
export function isSameDay(ms: number, otherMs: number, zone: Zone): boolean {
  return dayNumber(inZone(ms, zone)) === dayNumber(inZone(otherMs, zone));
}

/** `21 Nov 2026, 12:04:11.482 UTC` for places with room. */
export function formatDateTime(ms: number, zone: Zone): string {
  if (Number.isNaN(ms)) return "";
  const at = inZone(ms, zone);
  return `${day(at)} ${at.getUTCFullYear()}, ${clock(at)} ${zoneName(ms, zone)}`;
}

/** `2026-11-21T12:04` for a `datetime-local` field, and back. */
export function toField(ms: number, zone: Zone): string {
  return inZone(ms, zone).toISOString().slice(0, 16);
}

export function fromField(text: string, zone: Zone): number | null {
  const ms = Date.parse(zone === "utc" ? `${text}Z` : text);
  return Number.isNaN(ms) ? null : ms;
}

/** Round steps of time, at most `count` of them in `rangeNs`. */
export function tickStep(rangeNs: number, count: number): number {
  const rough = Math.max(1, rangeNs / Math.max(1, count));
  if (rough > 60e9) {
    const minutes = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1440];
    const found = minutes.find((m) => m * 60e9 >= rough);
    if (found) return found * 60e9;
  }
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((m) => m * power >= rough) ?? 10;
  return Math.max(1, step * power);
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/**
 * A date whose UTC parts are those of the moment in the zone. By hand: every `Intl.DateTimeFormat` is
 * slow to make, the first takes frames, and a list has hundreds of times.
 */
function inZone(ms: number, zone: Zone): Date {
  return new Date(ms + minutesAhead(ms, zone) * 60_000);
}

/** By how much the zone's clocks are ahead of UTC at that moment. */
function minutesAhead(ms: number, zone: Zone): number {
  return zone === "utc" ? 0 : -new Date(ms).getTimezoneOffset();
}

/** `UTC`, `UTC+1`, `UTC−3:30`. */
function zoneName(ms: number, zone: Zone): string {
  const minutes = minutesAhead(ms, zone);
  if (minutes === 0) return "UTC";
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `UTC${minutes < 0 ? "−" : "+"}${hours}${rest === 0 ? "" : `:${padded(rest, 2)}`}`;
}

function day(at: Date): string {
  return `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()] ?? ""}`;
}

/** Days since the epoch. */
function dayNumber(at: Date): number {
  return Math.floor(at.getTime() / 86_400_000);
}

function clock(at: Date): string {
  const parts = [at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()];
  return `${parts.map((part) => padded(part, 2)).join(":")}.${padded(at.getUTCMilliseconds(), 3)}`;
}

function padded(value: number, digits: number): string {
  return String(value).padStart(digits, "0");
}

function threeDigits(value: number): string {
  if (value >= 100) return Math.round(value).toString();
  return value.toFixed(
    value >= 9.995 ? (Number.isInteger(Math.round(value * 10) / 10) ? 0 : 1) : 2,
  );
}

function twoDigits(value: number): string {
  return value >= 9.95 ? formatCount(Math.round(value)) : value.toFixed(1);
}
