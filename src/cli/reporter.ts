import cliProgress from 'cli-progress';
import type { EpochMetrics, Metrics } from '../node/index.js';

export interface ReporterOptions {
  readonly quiet: boolean;
  readonly json: boolean;
}

const barFormat = '{bar} {percentage}% | {label} | {rate} | {eta_formatted} left';

/** What a command tells while it works: lines for people, or JSON objects, and a progress bar on a terminal. */
export class Reporter {
  #bar: { all: cliProgress.MultiBar; one: cliProgress.SingleBar } | undefined;

  constructor(readonly options: ReporterOptions) {}

  /** A line for people. */
  line(text = ''): void {
    const { quiet, json } = this.options;
    if (quiet || json) {
      return;
    }
    if (this.#bar) {
      // What is logged appears with the next update; a bar that is stopped before drops it.
      this.#bar.all.log(`${text}\n`);
      this.#bar.all.update();
    } else {
      process.stdout.write(`${text}\n`);
    }
  }

  /** Something that a user should know even where standard output is for programs. */
  warn(text: string): void {
    if (this.options.json && !this.options.quiet) {
      process.stderr.write(`${text}\n`);
    }
    this.line(text);
  }

  /** One JSON object on standard output, with --json. */
  json(value: object): void {
    if (this.options.json) {
      process.stdout.write(`${JSON.stringify(value)}\n`);
    }
  }

  /** Where pictures went. */
  pictures(files: readonly string[]): void {
    if (files.length > 0) {
      this.line(`pictures  ${files.join(', ')}`);
    }
    this.json({ pictures: files });
  }

  /** Draws a bar on a terminal until `stopBar`. */
  startBar(total: number, label: string): void {
    this.stopBar();
    const { quiet, json } = this.options;
    if (quiet || json || !process.stdout.isTTY) {
      return;
    }
    const settings = {
      format: barFormat,
      stream: process.stdout,
      // All of the format fits into 80 columns.
      barsize: 20,
      autopadding: true,
      formatTime: duration,
      // Updates that the time left is estimated from, some 50 ms each.
      etaBuffer: 100,
      hideCursor: true,
      clearOnComplete: true,
      // A line above it has taken the place of a bar that has not moved.
      forceRedraw: true,
      // Ctrl-C is the commands' own: the bar goes on until the work in flight is done.
      gracefulExit: false,
    };
    const all = new cliProgress.MultiBar(settings, cliProgress.Presets.shades_classic);
    this.#bar = { all, one: all.create(total, 0, { label, rate: '' }) };
  }

  updateBar(value: number, label: string, rate: string): void {
    this.#bar?.one.update(value, { label, rate });
  }

  stopBar(): void {
    this.#bar?.all.stop();
    this.#bar = undefined;
  }
}

/** One epoch, or held-out rows, in a line. */
export function metricsLine(label: string, metrics: Metrics | EpochMetrics): string {
  const { loss, mse, kl, active, dead } = metrics;
  const rate = 'samples_per_second' in metrics ? `  ${count(metrics.samples_per_second)} samples/s` : '';
  return (
    `${label}  loss ${loss.toFixed(4)}  mse ${mse.toFixed(4)}  kl ${kl.toFixed(4)}  ` +
    `active ${active.toFixed(2)}  dead ${dead}${rate}`
  );
}

/** 45s, 3m05s or 2h10m. The bar gives a word where it does not know yet. */
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

export function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}
