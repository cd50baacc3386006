import { expect, test, vi } from "vitest";
import {
  formatChange,
  formatCount,
  formatDateTime,
  formatDuration,
  formatMoment,
  formatOffset,
  formatRate,
  formatShare,
  formatTick,
  formatTime,
  fromField,
  tickStep,
  toField,
  unixMs,
} from "./units";

test("durations keep three digits and a unit", () => {
  const check = (ns: number | null, text: string) => expect(formatDuration(ns)).toBe(text);
  check(0, "0 ns");
  check(999, "999 ns");
  check(692_000, "692 µs");
  check(999_600, "1.00 ms");
  check(4_120_000, "4.12 ms");
  check(44_000_000, "44 ms");
  check(44_500_000, "44.5 ms");
  check(1_240_000_000, "1.24 s");
  check(90e9, "1.50 min");
  check(-38_000_000, "−38 ms");
  check(null, "…");
});

test("counts are grouped as the language does", () => {
  for (const n of [0, 7, 999, 1_000, 20_000, 123_456, 1_234_567, -1_500, -20]) {
    expect(formatCount(n)).toBe(n.toLocaleString("en"));
  }
});

test("offsets say before or after", () => {
  expect([31_600_000, 0, -608_000_000].map(formatOffset)).toEqual(["+31.6 ms", "+0 ns", "−608 ms"]);
});

test("rates choose the unit that a person can picture", () => {
  const hour = 3_600e9;
  expect(formatRate(262_800, hour)).toBe("73/s");
  expect(formatRate(3_960, hour)).toBe("1.1/s");
  expect(formatRate(120, hour)).toBe("2.0/min");
  expect(formatRate(3, hour)).toBe("3.0/h");
  expect(formatRate(0, hour)).toBe("0/s");
});

test("shares do not round a failure away", () => {
  expect(formatShare(0, 10)).toBe("0%");
  expect(formatShare(1, 100_000)).toBe("<0.01%");
  expect(formatShare(71, 1000)).toBe("7.1%");
  expect(formatShare(10, 10)).toBe("100%");
});

test("times are said in one zone and gain the day when it is another day", () => {
  const noon = Date.UTC(2026, 10, 21, 12, 4, 11, 482);
  expect(formatTime(noon, "utc", noon)).toBe("12:04:11.482");
  expect(formatTime(noon, "utc", noon + 86_400_000)).toBe("21 Nov 12:04:11.482");
  expect(formatDateTime(noon, "utc")).toBe("21 Nov 2026, 12:04:11.482 UTC");
  expect(formatDateTime(Date.UTC(2027, 0, 1, 0, 0, 0, 7), "utc")).toBe(
    "1 Jan 2027, 00:00:00.007 UTC",
  );
  expect(formatMoment(noon, "utc")).toBe("12:04:11");
  expect(formatMoment(Date.UTC(2026, 10, 21, 12, 4), "utc")).toBe("12:04");
  expect(formatMoment(Date.UTC(2026, 10, 21), "utc")).toBe("21 Nov");
  expect(formatDateTime(Number.NaN, "utc")).toBe("");
  expect(unixMs("1795262651482999999")).toBe(1795262651482);
});

test("a local time is that of the zone's clocks on that day, and says how far they are ahead", () => {
  const said = (zone: string, ms: number) => {
    vi.stubEnv("TZ", zone);
    return formatDateTime(ms, "local");
  };
  const [summer, winter] = [Date.UTC(2026, 6, 1, 22, 30), Date.UTC(2026, 11, 31, 23, 30)];
  try {
    expect(said("Europe/Zurich", summer)).toBe("2 Jul 2026, 00:30:00.000 UTC+2");
    expect(said("Europe/Zurich", winter)).toBe("1 Jan 2027, 00:30:00.000 UTC+1");
    expect(said("America/St_Johns", winter)).toBe("31 Dec 2026, 20:00:00.000 UTC−3:30");
    expect(said("UTC", winter)).toBe("31 Dec 2026, 23:30:00.000 UTC");
    vi.stubEnv("TZ", "Asia/Kolkata");
    expect(formatTime(winter, "local", summer)).toBe("1 Jan 05:00:00.000");
    expect(formatTime(winter, "local", winter + 3_600_000)).toBe("05:00:00.000");
  } finally {
    vi.unstubAllEnvs();
  }
});

test("a date field survives the way there and back", () => {
  const at = Date.UTC(2026, 10, 21, 12, 4);
  expect(fromField(toField(at, "utc"), "utc")).toBe(at);
  expect(fromField(toField(at, "local"), "local")).toBe(at);
  expect(fromField("x", "utc")).toBeNull();
});

test("ticks are round and few", () => {
  expect(tickStep(4.82e9, 5)).toBe(1e9);
  expect(formatTick(2e9, 1e9)).toBe("2 s");
  expect(formatTick(1.5e9, 0.5e9)).toBe("1.5 s");
  expect(tickStep(0, 5)).toBe(1);
});

test("a change is a factor, and nothing is said of what was not there", () => {
  expect(formatChange(64, 10)).toBe("▲ 6.4×");
  expect(formatChange(5, 10)).toBe("▼ 0.5×");
  expect(formatChange(110, 10)).toBe("▲ 11×");
  expect(formatChange(101, 100)).toBe("±0");
  expect(formatChange(0, 0)).toBe("±0");
  expect(formatChange(1, 0)).toBeNull();
  expect(formatChange(1, undefined)).toBeNull();
});
