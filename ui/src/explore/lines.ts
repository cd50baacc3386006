/** What is drawn of an answer about rates over time: a line for each value, or one for all. */
import type { Series, SeriesAnswer } from "../api/types";
import { SLOTS, slotColor, type Theme } from "../model/service-color";
import { t } from "../shared/messages";
import { type PlotLine, shares, sum } from "./plot";

export type Metric = "p50" | "p95" | "p99";

const QUANTILES = {
  p50: (s: Series) => s.p50Nano,
  p95: (s: Series) => s.p95Nano,
  p99: (s: Series) => s.p99Nano,
} as const;

export interface Value {
  readonly series: Series;
  /** The value itself; `null` for spans that have none and for the rest. */
  readonly value: string | null;
  readonly label: string;
  readonly color: string;
  readonly requests: number;
  readonly errors: number;
}

/** The colours of lines: a service has its own; other values take slots in order. */
export function valuesOf(
  answer: SeriesAnswer,
  by: string | null,
  colors: { theme: Theme; ink: string; service: (name: string) => string },
): Value[] {
  return answer.series.map((series, i) => {
    const isService = by === "service" || by === "service.name";
    const { value } = series;
    const label = series.rest
      ? t("series.rest")
      : (value ?? t(by === null ? "series.all" : "series.none"));
    const color =
      value === null
        ? colors.ink
        : isService
          ? colors.service(value)
          : slotColor(i % SLOTS, colors.theme);
    return {
      series,
      value: series.rest ? null : value,
      label,
      color,
      requests: sum(series.requests),
      errors: sum(series.errors),
    };
  });
}

/** Requests a second in each step, by value. */
export const requestLines = (values: readonly Value[], stepNs: number): PlotLine[] =>
  values.map(({ series, label, color }) => ({
    label,
    color,
    values: series.requests.map((n) => n / (stepNs / 1e9)),
    dashed: series.rest === true,
  }));

/** The share of failures of each step, by value. */
export const errorLines = (values: readonly Value[], single: string): PlotLine[] =>
  values.map(({ series, label, color }) => ({
    label,
    color: values.length === 1 ? single : color,
    values: shares(series.errors, series.requests),
    dashed: series.rest === true,
  }));

/** One quantile of each value; of a single line all three quantiles. */
export function durationLines(
  values: readonly Value[],
  metric: Metric,
  single: string,
): PlotLine[] {
  const [only] = values;
  if (values.length === 1 && only) {
    return (["p50", "p95", "p99"] as const).map((q) => ({
      label: q,
      color: single,
      values: QUANTILES[q](only.series),
      dashed: q !== "p95",
    }));
  }
  return values.map(({ series, label, color }) => ({
    label,
    color,
    values: QUANTILES[metric](series),
    dashed: series.rest === true,
  }));
}

export const quantile = (series: Series, metric: Metric, step: number): number | null =>
  QUANTILES[metric](series)[step] ?? null;
