import { Command } from 'commander';
import {
  type Activation,
  closePipes,
  type Evaluation,
  evaluation,
  type LoadOptions,
  Model,
  openGpu,
} from '../node/index.js';
import { valuesOf } from './arguments.js';
import { loadWithBar } from './data.js';
import { interruptible } from './interrupt.js';
import { printable } from './latents.js';
import * as options from './options.js';
import { count, Reporter, type ReporterOptions, short } from './reporter.js';
import { modelNormalization, readSaved } from './saved.js';

/** Labels that are listed with the latents that predict them best, at most. */
const shownLabels = 20;
/** Columns of the longest bar. */
const widest = 40;

interface EvalValues extends ReporterOptions, LoadOptions {
  readonly data?: readonly string[];
  readonly activation?: Activation;
  readonly adapter?: string;
  readonly tune: string;
  readonly normalize?: string;
  readonly other_variances: boolean;
  readonly markdown: boolean;
}

/** `sae eval`. */
export function evalCommand(): Command {
  const command = new Command('eval')
    .description(
      'tell how good a saved model is: reconstruction, activity, dead and dense latents, copies among directions, and what latents say about labels',
    )
    .argument('<model>', options.savedModel)
    .addOption(options.activationOption);
  for (const option of [...options.dataGroup, options.labelsOption, ...options.partOptions]) {
    command.addOption(option);
  }
  command.addOption(options.otherVariancesOption).addOption(options.markdownOption.conflicts('json'));
  for (const option of options.runGroup) command.addOption(option);
  return command.action(async (file: string) => {
    await evaluateModel(file, valuesOf<EvalValues>(command).values);
  });
}

async function evaluateModel(file: string, values: EvalValues): Promise<void> {
  const reporter = new Reporter(values);
  const saved = await readSaved(file, reporter, values.activation);
  const normalize = modelNormalization(file, saved, values.normalize);
  const signal = interruptible(reporter, 'rows');
  const gpu = await openGpu(await options.openOptions(values));
  try {
    const { in_dims } = saved.config;
    const { image_shape: trained_shape } = saved;
    const loaded = await loadWithBar(reporter, { ...values, signal, in_dims, normalize, trained_shape });
    signal.throwIfAborted();
    if (loaded.fellBack) reporter.warn(`${loaded.fellBack}.`);
    // Held-out rows say more about the model.
    const rows = loaded.validation ?? loaded.train;
    const model = await Model.from(gpu, saved.config, saved.parameters);
    reporter.startBar(rows.rows, 'rows');
    const progress = (done: number) => reporter.updateBar(done, 'rows', count(done));
    const { other_variances } = values;
    const figures = await evaluation(model, rows, { other_variances, signal, progress }).finally(() =>
      reporter.stopBar(),
    );
    reporter.json({ data: rows.name, ...figures });
    print(rows.name, model, figures, values.markdown, reporter);
    // Words are labels, too, of which nobody expects classes.
    if (values.labels !== undefined && !figures.labels) {
      reporter.warn(
        'The labels are no classes: nearly every row has one of its own, or there are 1,000 or more.',
      );
    }
  } finally {
    closePipes();
    gpu.close();
  }
}

function print(name: string, model: Model, figures: Evaluation, markdown: boolean, reporter: Reporter): void {
  const table = markdown ? markdownTable : textTable;
  const lines = [
    ...table(['', `${name}, ${count(figures.rows)} rows`], figureRows(model, figures)),
    '',
    ...table(['density', 'latents', ...(markdown ? [] : [''])], densityRows(figures, markdown)),
  ];
  const told = labelRows(figures);
  if (told.length > 0) {
    lines.push('', ...table(['label', 'best latent', 'precision', 'recall', 'F1', 'density'], told));
  }
  for (const line of lines) reporter.line(line);
}

/** What there is to say of the whole model, as names and values. */
function figureRows(model: Model, figures: Evaluation): string[][] {
  const { active_quantiles: active, directions, labels, other_variances } = figures;
  const { hidden } = model;
  const share = (latents: number) => `${count(latents)} of ${count(hidden)}`;
  return [
    ['MSE', short(figures.mse)],
    ['explained variance', figures.explained_variance.toFixed(4)],
    ...Object.entries(other_variances ?? {}).map(([whose, value]) => [`as ${whose}`, value.toFixed(4)]),
    ['cosine similarity', figures.cosine_similarity.toFixed(4)],
    ['shrinkage', `${figures.shrinkage.toFixed(4)} (norms, reconstruction / row)`],
    ['relative bias', figures.relative_reconstruction_bias.toFixed(4)],
    [
      'L0',
      `${figures.active.toFixed(2)} (least ${active[0]}, 5% ${active[0.05]}, median ${active[0.5]}, 95% ${active[0.95]}, most ${active[1]})`,
    ],
    ['L1', short(figures.l1)],
    ['dead', share(figures.dead)],
    ['dense', `${share(figures.dense)} (active for more than 10% of the rows)`],
    [
      'directions',
      `cosine to the nearest: median ${directions.median_cosine.toFixed(2)}, largest ${directions.max_cosine.toFixed(2)}; ` +
        `${count(directions.copies)} above 0.9`,
    ],
    ...(labels
      ? [
          ['labels', `${count(labels.classes)}; best F1 of a latent: mean ${labels.mean_f1.toFixed(3)}`],
          ...labels.probes.map(({ k, accuracy, classes }) => [
            `probe of ${k}`,
            classes.length > 0
              ? `balanced accuracy ${accuracy.toFixed(3)} (${count(classes.length)} labels; 0.5 is chance)`
              : 'no label has enough rows',
          ]),
        ]
      : []),
  ];
}

/** The densities that latents have, from the least of which there are any to the largest. */
function densityRows({ densities: { edges, counts }, dead }: Evaluation, markdown: boolean): string[][] {
  const first = counts.findIndex((latents) => latents > 0);
  const end = counts.findLastIndex((latents) => latents > 0) + 1;
  const most = Math.max(dead, ...counts);
  const row = (label: string, latents: number) => [
    label,
    count(latents),
    ...(markdown ? [] : ['█'.repeat(Math.ceil((widest * latents) / most))]),
  ];
  return [
    row('0', dead),
    ...counts.slice(Math.max(0, first), end).map((latents, i) => {
      return row(`up to ${percent(edges[first + i + 1])}`, latents);
    }),
  ];
}

/** Of each label the latent that predicts it best, those that are predicted best first. */
function labelRows({ latents }: Evaluation): string[][] {
  const ordered = latents
    .flatMap(({ predicts, density }, latent) => (predicts ? [{ ...predicts, density, latent }] : []))
    .sort((a, b) => b.f1 - a.f1 || a.latent - b.latent);
  const best = new Map(ordered.toReversed().map((one) => [one.label, one]));
  return ordered
    .filter((one) => best.get(one.label) === one)
    .slice(0, shownLabels)
    .map(({ label, precision, recall, f1, density, latent }) => [
      printable(label),
      String(latent + 1),
      precision.toFixed(3),
      recall.toFixed(3),
      f1.toFixed(3),
      percent(density),
    ]);
}

/** Columns of equal width; a heading without words is left out. */
function textTable(heading: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [heading, ...rows];
  const widths = heading.map((_, i) => Math.max(...all.map((row) => row[i].length)));
  return all.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]))
      .join('  ')
      .trimEnd(),
  );
}

function markdownTable(heading: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replace(/[\\|`*_<>[\]]/g, '\\$&')).join(' | ')} |`;
  return [line(heading), line(heading.map(() => '---')), ...rows.map(line)];
}

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(2))}%`;
}
