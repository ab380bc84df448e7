import {
  type EpochMetrics,
  LossHistory,
  type LossPoint,
  type SparsityName,
  type StepMetrics,
  termFigures,
} from '../node/index.js';
import { drawnBar, type View } from './bar.js';
import { type Curve, type Plot, panel } from './panel.js';
import type { Reporter } from './reporter.js';
import { Screen } from './screen.js';

/** Milliseconds between two drawings, at least. */
const leastPause = 200;
/** And as many times what the last one took, so that all of them take a twentieth of one core at most. */
const pauseFactor = 20;
/** Columns of a terminal from which on there are two curves side by side, and those between them. */
const [wide, gap] = [70, 2];
/** Rows of the last line that was printed, at the bottom; above it are the bar and other figures. */
const messageRows = 2;
const footRows = 2 + messageRows;

/** What a run trains. */
export interface Watched {
  /** Of the run. */
  readonly steps: number;
  readonly latents: number;
  readonly sparsity: SparsityName;
  /** What the bar says at first. */
  readonly label: string;
}

/** A training as curves, with its latest figures and its progress, on the whole terminal. Lines are printed when it is stopped. */
export class Watch implements View {
  readonly #history = new LossHistory<SparsityName>(512);
  readonly #epochs: EpochMetrics<SparsityName>[] = [];
  readonly #lines: string[] = [];
  readonly #plot: Plot;
  readonly #run: Watched;
  readonly #screen: Screen;
  #at: { readonly done: number; readonly label: string; readonly rate: string };
  #began: { readonly time: number; readonly done: number } | undefined;
  #pausedUntil = 0;

  private constructor(plot: Plot, run: Watched) {
    this.#plot = plot;
    this.#run = run;
    this.#at = { done: 0, label: run.label, rate: '' };
    this.#screen = new Screen((columns, rows) => this.#content(columns, rows));
  }

  static async open(run: Watched): Promise<Watch> {
    const { plot } = await import('simple-ascii-chart');
    return new Watch(plot, run);
  }

  /** Takes what the next update draws. @param epoch what an epoch that has just ended was like. */
  add(steps: readonly StepMetrics<SparsityName>[], epoch: EpochMetrics<SparsityName> | undefined): void {
    this.#history.add(steps);
    if (epoch) this.#epochs.push(epoch);
  }

  update(done: number, label: string, rate: string): void {
    this.#began ??= { time: performance.now(), done };
    this.#at = { done, label, rate };
    this.#drawUnlessDrawn();
  }

  line(text: string): void {
    this.#lines.push(text);
    this.#drawUnlessDrawn();
  }

  stop(): void {
    this.#screen.close();
    process.stdout.write(this.#lines.map((line) => `${line}\n`).join(''));
  }

  /** Leaves it to a later call where the last drawing was a moment ago. */
  #drawUnlessDrawn(): void {
    const now = performance.now();
    if (now < this.#pausedUntil) return;
    this.#screen.draw();
    this.#pausedUntil = now + Math.max(leastPause, pauseFactor * (performance.now() - now));
  }

  #content(columns: number, rows: number): string[] {
    const all = columns - 1;
    const side = columns < wide ? 1 : 2;
    const curves = this.#curves();
    const size = {
      width: Math.floor((all - (side - 1) * gap) / side),
      height: Math.max(1, Math.floor(((rows - footRows) * side) / curves.length)),
      colors: process.stdout.hasColors(),
    };
    const panels = curves.map((curve) => panel(this.#plot, curve, size));
    const lines: string[] = [];
    for (let i = 0; i < panels.length; i += side) {
      const beside = panels.slice(i, i + side);
      lines.push(...beside[0].map((_, row) => beside.map((one) => one[row]).join(' '.repeat(gap))));
    }
    return [...lines, this.#figures().slice(0, all), this.#bar(), ...this.#message(all)];
  }

  #curves(): Curve[] {
    const { latents } = this.#run;
    const { points, recent } = this.#history;
    const last = this.#epochs.at(-1);
    // An epoch's dead latents belong to all of its steps; those of the current one are not known before it ends.
    const deadAt = ({ epoch }: LossPoint<SparsityName>) => this.#epochs[epoch - 1] ?? last;
    const now = (value: number | undefined, digits: number) => value?.toFixed(digits) ?? '';
    return [
      { title: `loss ${now(recent?.loss, 4)}`, values: points.map(({ loss }) => loss) },
      {
        title: `R2 ${now(recent?.explained_variance, 4)}`,
        values: fromZero(points.map(({ explained_variance }) => explained_variance)),
      },
      {
        title: `L0 ${now(recent?.active, 2)} of ${latents} latents`,
        values: points.map(({ active }) => active),
      },
      {
        title: last ? `dead ${last.dead} of ${latents} latents` : 'dead: counted when a pass has ended',
        values: last ? points.map((point) => deadAt(point)?.dead ?? 0) : [],
      },
    ];
  }

  /** What has no curve. */
  #figures(): string {
    const { recent } = this.#history;
    if (!recent) return '';
    const figures = [{ name: 'mse', value: recent.mse }, ...termFigures(this.#run.sparsity, recent)];
    const words = figures.map(({ name, value }) => `${name} ${value.toFixed(4)}`);
    const dense = this.#epochs.at(-1)?.dense;
    return [...words, ...(dense === undefined ? [] : [`dense ${dense}`])].join('  ');
  }

  #bar(): string {
    const { done, label, rate } = this.#at;
    const { steps } = this.#run;
    const since = this.#began ?? { time: 0, done };
    const seconds = (performance.now() - since.time) / 1000;
    const left = done > since.done ? (seconds / (done - since.done)) * (steps - done) : undefined;
    return drawnBar({ done, total: steps, label, rate, left });
  }

  /** The last line that was printed, as far as there is room for it. */
  #message(columns: number): string[] {
    const text = this.#lines.at(-1) ?? '';
    const parts = text.match(new RegExp(`(?! ).{1,${columns}}(?= |$)`, 'g')) ?? [];
    return Array.from({ length: messageRows }, (_, i) => parts[i] ?? '');
  }
}

/** Shows a training as curves, if they are wanted and there is a terminal that can do it, or else as a bar. @returns the curves. */
export async function startWatch(
  reporter: Reporter,
  wanted: boolean,
  run: Watched,
): Promise<Watch | undefined> {
  const curves = wanted && reporter.draws ? await Watch.open(run) : undefined;
  if (curves) reporter.startView(curves);
  else reporter.startBar(run.steps, run.label);
  return curves;
}

/** Values with 0 in the place of what is below it, if any is above: how bad a reconstruction was at first would flatten the rest of the curve. */
function fromZero(values: readonly number[]): readonly number[] {
  return values.some((value) => value > 0) ? values.map((value) => Math.max(value, 0)) : values;
}
