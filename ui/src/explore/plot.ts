/** Lines over time as paths. Pure: the size is a parameter, nothing is drawn here. */

export interface PlotLine {
  readonly label: string;
  readonly color: string;
  /** One for each step of time; `null` where there was nothing to measure. */
  readonly values: readonly (number | null)[];
  readonly dashed?: boolean;
}

export interface PlotSize {
  readonly width: number;
  readonly height: number;
}

export const PAD = { left: 8, right: 10, top: 18, bottom: 20 } as const;

/** The smallest 1, 2 or 5 times a power of ten that is not less than `value`. */
export function roundUp(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 2.5, 5, 10].find((f) => f * power >= value * 0.999999) ?? 10;
  return factor * power;
}

/** The end of the axis: a round number above all values; 1 when there is none. */
export function topOf(lines: readonly PlotLine[], least = 0): number {
  let most = least;
  for (const { values } of lines) for (const v of values) most = Math.max(most, v ?? 0);
  return roundUp(most);
}

/** The middle of step `index`, as a time is counted over its whole step. */
export function xOf({ width }: PlotSize, count: number, index: number): number {
  const room = width - PAD.left - PAD.right;
  return PAD.left + ((index + 0.5) / Math.max(1, count)) * room;
}

export function yOf({ height }: PlotSize, top: number, value: number): number {
  const room = height - PAD.top - PAD.bottom;
  return PAD.top + (1 - value / top) * room;
}

/** The step under a point, or `null` beside the plot. */
export function stepAt({ width }: PlotSize, count: number, x: number): number | null {
  const share = (x - PAD.left) / Math.max(1, width - PAD.left - PAD.right);
  return share < 0 || share >= 1 ? null : Math.floor(share * count);
}

/**
 * An SVG path; nothing is drawn where nothing was measured, and a lonely value is a dot (a line of no
 * length, which a round cap makes visible).
 */
export function pathOf(size: PlotSize, top: number, values: readonly (number | null)[]): string {
  const parts: string[] = [];
  let pen = false;
  values.forEach((value, i) => {
    if (value === null) {
      pen = false;
      return;
    }
    const point = `${round(xOf(size, values.length, i))} ${round(yOf(size, top, value))}`;
    const isLonely = !pen && (values[i + 1] ?? null) === null;
    parts.push(pen ? `L${point}` : isLonely ? `M${point}h0` : `M${point}`);
    pen = true;
  });
  return parts.join("");
}

/** The area beneath a line, closed along the axis. Gaps count as zero. */
export function areaOf(size: PlotSize, top: number, values: readonly (number | null)[]): string {
  if (values.length === 0) return "";
  const floor = round(yOf(size, top, 0));
  const line = values.map(
    (value, i) => `${round(xOf(size, values.length, i))} ${round(yOf(size, top, value ?? 0))}`,
  );
  const first = round(xOf(size, values.length, 0));
  const last = round(xOf(size, values.length, values.length - 1));
  return `M${first} ${floor}L${line.join("L")}L${last} ${floor}Z`;
}

const round = (n: number) => Math.round(n * 10) / 10;

/** The share of failures of each step; `null` where there was no request. */
export function shares(errors: readonly number[], requests: readonly number[]): (number | null)[] {
  return requests.map((n, i) => (n === 0 ? null : (errors[i] ?? 0) / n));
}

export const sum = (values: readonly number[]) => values.reduce((all, n) => all + n, 0);
