import cliProgress from 'cli-progress';
import { type EpochMetrics, type Metrics, type SparsityName, termFigures } from '../node/index.js';

export interface ReporterOptions {
  readonly quiet: boolean;
  readonly json: boolean;
}

/** Formats of the progress bar. The widest that fits is used: the first in 80 columns, the last in 20. */
const barFormats = [
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

/** The output of a command: lines for people or JSON objects, and a progress bar on a terminal. */
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
      // A logged line appears with the next update, and is lost if the bar is stopped before.
      this.#bar.all.log(`${text}\n`);
      this.#bar.all.update();
    } else {
      process.stdout.write(`${text}\n`);
    }
  }

  /** A line that a user should see even if standard output is for programs. */
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

  pictures(files: readonly string[]): void {
    if (files.length > 0) {
      this.line(`pictures  ${files.join(', ')}`);
    }
    this.json({ pictures: files });
  }

  /** Draws a bar on a terminal until `stopBar`. @param total 0 if it is not known. */
  startBar(total: number, label: string): void {
    this.stopBar();
    const { quiet, json } = this.options;
    if (quiet || json || !process.stdout.isTTY) {
      return;
    }
    const settings = {
      format: barLine,
      stream: process.stdout,
      // The terminal wraps lines above the bar like all others; the bar's own line fits.
      linewrap: true,
      autopadding: true,
      formatTime: duration,
      // Updates from which the time left is estimated, about 50 ms each.
      etaBuffer: 100,
      hideCursor: true,
      clearOnComplete: true,
      // A line above the bar has overwritten it, even if it has not moved.
      forceRedraw: true,
      // The commands handle Ctrl-C: the bar goes on until the current steps are done.
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

/** The bar's line in the widest format that leaves a column of the terminal free. */
function barLine(settings: cliProgress.Options, params: cliProgress.Params, payload: unknown): string {
  const columns = process.stdout.columns || 80;
  let line = '';
  for (const { barsize, format } of params.total > 0 ? barFormats : endlessFormats) {
    line = cliProgress.Format.Formatter({ ...settings, barsize, format }, params, payload);
    if (line.length < columns) {
      break;
    }
  }
  return line.slice(0, columns - 1);
}

/** The metrics of an epoch, or of held-out rows, in one line. */
export function metricsLine(
  label: string,
  metrics: Metrics<SparsityName> | EpochMetrics<SparsityName>,
  sparsity: SparsityName,
): string {
  const { loss, mse, explained_variance, active, dead, dense } = metrics;
  const rate = 'samples_per_second' in metrics ? `  ${count(metrics.samples_per_second)} samples/s` : '';
  const terms = termFigures(sparsity, metrics).map(({ name, value }) => `${name} ${value.toFixed(4)}  `);
  return (
    `${label}  loss ${loss.toFixed(4)}  mse ${mse.toFixed(4)}  R2 ${explained_variance.toFixed(4)}  ${terms.join('')}` +
    `L0 ${active.toFixed(2)}  dead ${dead}  dense ${dense}${rate}`
  );
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

export function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

/** Four digits. */
export function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}
