import { stripVTControlCharacters } from 'node:util';
import { type EpochMetrics, type Metrics, type SparsityName, termFigures } from '../node/index.js';
import { Bar, type View } from './bar.js';

export interface ReporterOptions {
  readonly quiet: boolean;
  readonly json: boolean;
}

/** The output of a command: lines for people or JSON objects, and a progress bar on a terminal. */
export class Reporter {
  #view: View | undefined;

  constructor(readonly options: ReporterOptions) {}

  /** Whether there is a terminal on which a bar or another view can be drawn. */
  get draws(): boolean {
    const { quiet, json } = this.options;
    return !quiet && !json && process.stdout.isTTY && process.env.TERM !== 'dumb';
  }

  /** A line for people. */
  line(given = ''): void {
    const { quiet, json } = this.options;
    if (quiet || json) {
      return;
    }
    // Names and labels of files may have what a terminal would obey.
    const text = stripVTControlCharacters(given);
    if (this.#view) {
      this.#view.line(text);
    } else {
      process.stdout.write(`${text}\n`);
    }
  }

  /** A line that a user should see even if standard output is for programs. */
  warn(text: string): void {
    if (this.options.json && !this.options.quiet) {
      process.stderr.write(`${stripVTControlCharacters(text)}\n`);
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

  /** Draws a bar, where there is a terminal, until `stopBar`. @param total 0 if it is not known. */
  startBar(total: number, label: string): void {
    this.stopBar();
    if (this.draws) this.#view = new Bar(total, label);
  }

  /** The same with a view in the place of the bar. */
  startView(view: View): void {
    this.stopBar();
    this.#view = view;
  }

  updateBar(done: number, label: string, rate: string): void {
    this.#view?.update(done, label, rate);
  }

  stopBar(): void {
    this.#view?.stop();
    this.#view = undefined;
  }
}

/** The metrics of an epoch, or of held-out rows, in one line. */
export function metricsLine(
  label: string,
  metrics: Metrics<SparsityName> | EpochMetrics<SparsityName>,
  sparsity: SparsityName,
): string {
  const { loss, mse, explained_variance, active, dead, dense } = metrics;
  const rate = 'samples_per_second' in metrics ? `  ${count(metrics.samples_per_second)} samples/s` : '';
  const terms = termFigures(sparsity, metrics).map(({ name, value }) => `${name} ${figure(value)}  `);
  return (
    `${label}  loss ${figure(loss)}  mse ${figure(mse)}  R2 ${figure(explained_variance)}  ${terms.join('')}` +
    `L0 ${active.toFixed(2)}  dead ${dead}  dense ${dense}${rate}`
  );
}

/** Four decimals or, of a training that diverges, the magnitude. */
function figure(value: number): string {
  return Math.abs(value) < 1e6 ? value.toFixed(4) : value.toExponential(3);
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

/** So many digits. */
export function short(value: number, digits = 4): string {
  return String(Number(value.toPrecision(digits)));
}
