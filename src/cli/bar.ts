import cliProgress from 'cli-progress';
import { Foreground } from './foreground.js';

/** What a terminal shows while a command is at work, beside the lines that stay. */
export interface View {
  /** @param done of the total. @param label what is at work. @param rate how fast, in words. */
  update(done: number, label: string, rate: string): void;
  /** A line that stays. */
  line(text: string): void;
  /** Takes it off the terminal. */
  stop(): void;
}

/** Formats of the progress bar. The widest that fits is used: the first in 80 columns, the last in 20. */
const formats = [
  { barsize: 20, format: '{bar} {percentage}% | {label} | {rate} | {eta_formatted} left' },
  { barsize: 8, format: '{bar} {percentage}% | {label} | {rate} | {eta_formatted} left' },
  { barsize: 8, format: '{bar} {percentage}% | {label} | {eta_formatted} left' },
  { barsize: 0, format: '{percentage}% | {label} | {eta_formatted} left' },
  { barsize: 0, format: '{percentage}% {label}' },
];
/** Of one whose end is not known. */
const endlessFormats = [
  { barsize: 0, format: '{label} | {rate}' },
  { barsize: 0, format: '{label}' },
];

const style: cliProgress.Options = {
  formatBar: (progress, { barsize = 0 }) => '█'.repeat(Math.round(progress * barsize)).padEnd(barsize, '░'),
  formatValue: (value, _, type) => (type === 'percentage' ? String(value).padStart(3) : String(value)),
  formatTime: duration,
};

const settings = {
  ...style,
  format: barLine,
  stream: process.stdout,
  // The terminal wraps lines above the bar like all others; the bar's own line fits.
  linewrap: true,
  // Updates from which the time left is estimated, about 50 ms each.
  etaBuffer: 100,
  hideCursor: true,
  clearOnComplete: true,
  // A line above the bar has overwritten it, even if it has not moved.
  forceRedraw: true,
  // The commands handle Ctrl-C: the bar goes on until the current steps are done.
  gracefulExit: false,
};

/** A progress bar, below the lines. */
export class Bar implements View {
  readonly #place: Foreground;
  #at: { readonly done: number; readonly label: string; readonly rate: string };
  #drawn: { readonly all: cliProgress.MultiBar; readonly one: cliProgress.SingleBar } | undefined;

  /** @param total 0 if it is not known. */
  constructor(
    private readonly total: number,
    label: string,
  ) {
    this.#at = { done: 0, label, rate: '' };
    this.#place = new Foreground(
      () => this.#draw(),
      () => this.#erase(),
    );
  }

  update(done: number, label: string, rate: string): void {
    this.#at = { done, label, rate };
    this.#drawn?.one.update(done, { label, rate });
  }

  line(text: string): void {
    if (!this.#drawn) {
      process.stdout.write(`${text}\n`);
      return;
    }
    // A logged line appears with the next update, and is lost if the bar is stopped before.
    this.#drawn.all.log(`${text}\n`);
    this.#drawn.all.update();
  }

  stop(): void {
    this.#place.close();
  }

  #draw(): void {
    const { done, label, rate } = this.#at;
    const all = new cliProgress.MultiBar(settings);
    this.#drawn = { all, one: all.create(this.total, done, { label, rate }) };
  }

  #erase(): void {
    this.#drawn?.all.stop();
    this.#drawn = undefined;
  }
}

/** The bar of a view that draws it itself. */
export function drawnBar(at: {
  readonly done: number;
  readonly total: number;
  readonly label: string;
  readonly rate: string;
  /** Seconds to its end, if that is known. */
  readonly left: number | undefined;
}): string {
  const { done: value, total, label, rate, left: eta = '--' } = at;
  const params = { progress: value / total, eta, total, value, startTime: 0, maxWidth: 0 };
  return barLine(style, params as cliProgress.Params, { label, rate });
}

/** The bar's line in the widest format that leaves a column of the terminal free. */
function barLine(settings: cliProgress.Options, params: cliProgress.Params, payload: unknown): string {
  const columns = process.stdout.columns || 80;
  let line = '';
  for (const { barsize, format } of params.total > 0 ? formats : endlessFormats) {
    line = cliProgress.Format.Formatter({ ...settings, barsize, format }, params, payload);
    if (line.length < columns) {
      break;
    }
  }
  return line.slice(0, columns - 1);
}

/** 45s, 3m05s or 2h10m. The bar passes a text if it does not know yet. */
function duration(seconds: number | string): string {
  if (typeof seconds === 'string') {
    return '--';
  }
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  if (seconds < 60) {
    return `${Math.round(seconds)}s`;
  }
  return seconds < 3600
    ? `${Math.floor(seconds / 60)}m${two(seconds % 60)}s`
    : `${Math.floor(seconds / 3600)}h${two((seconds % 3600) / 60)}m`;
}
