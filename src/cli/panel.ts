import { styleText } from 'node:util';

/** The function of simple-ascii-chart, which draws a curve as lines of text. */
export type Plot = typeof import('simple-ascii-chart')['plot'];

/** A figure, and how it came about. */
export interface Curve {
  /** With its value now. */
  readonly title: string;
  /** The oldest first. */
  readonly values: readonly number[];
}

/** Columns of an axis's labels. */
const labelWidth = 7;
/** The fewest rows of a curve, and the rows of a panel from which on its last is left free. */
const [leastRows, roomy] = [2, 6];
/** The ratio of the ends of a curve from which on it is drawn by its logarithm. */
const logarithmicFrom = 30;

/**
 * A curve below its title, as lines of `width` characters.
 * @param height number of lines; with few of them there is the title alone. @param colors whether the terminal has any.
 */
export function panel(
  plot: Plot,
  { title, values }: Curve,
  { width, height, colors }: { width: number; height: number; colors: boolean },
): string[] {
  const styled = (style: 'bold' | 'cyan', text: string) => (colors ? styleText(style, text) : text);
  const lines = [styled('bold', filled(title, width))];
  const rows = height - (height < roomy ? 1 : 2);
  const columns = width - labelWidth - 2;
  const shown = thinned(values.filter(Number.isFinite), columns);
  if (shown.length > 0 && rows >= leastRows) {
    for (const [label, curve] of drawn(plot, shown, columns, rows)) {
      lines.push(label.padStart(labelWidth + 1) + styled('cyan', filled(curve, width - labelWidth - 1)));
    }
  }
  return Array.from({ length: height }, (_, row) => lines[row] ?? ' '.repeat(width));
}

/** The rows of a curve: the label with the axis, and what is right of it. */
function drawn(plot: Plot, values: readonly number[], columns: number, rows: number): [string, string][] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const scale = low > 0 && high / low >= logarithmicFrom ? Math.log10 : (value: number) => value;
  const bottom = scale(low);
  const top = high > low ? scale(high) : bottom + Math.max(1, Math.abs(bottom));
  const text = plot(
    values.map((value, i): [number, number] => [i, scale(value)]),
    {
      width: columns,
      height: rows,
      yRange: [bottom, top],
      customYAxisTicks: high > low ? [bottom, top] : [bottom],
      hideXAxis: true,
      formatter: (value) => short(value === bottom ? low : high),
    },
  );
  // An empty line and one of the axis alone come before the curve's own rows, and another such below them.
  const lines = text.split('\n').slice(2, 2 + rows);
  const axis = Math.max(...lines.map((line) => line.search(/[┤│]/)));
  return lines.map((line) => [line.slice(0, axis + 1), line.slice(axis + 1)]);
}

/** At most so many values: the means of as many neighbours each. */
function thinned(values: readonly number[], most: number): number[] {
  const each = Math.ceil(values.length / most);
  return Array.from({ length: Math.ceil(values.length / each) || 0 }, (_, i) => {
    const some = values.slice(i * each, (i + 1) * each);
    return some.reduce((sum, value) => sum + value, 0) / some.length;
  });
}

function filled(text: string, width: number): string {
  return text.slice(0, width).padEnd(width);
}

/** Three digits, in at most seven characters. */
function short(value: number): string {
  const size = Math.abs(value);
  return value !== 0 && (size < 1e-3 || size >= 1e5)
    ? value.toExponential(1)
    : String(Number(value.toPrecision(3)));
}
