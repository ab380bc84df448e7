import { Command } from 'commander';
import {
  type Activation,
  closePipes,
  densityTable,
  type Evaluation,
  evaluation,
  figureTable,
  type LoadOptions,
  labelTable,
  Model,
  openGpu,
} from '../node/index.js';
import { valuesOf } from './arguments.js';
import { checkAdapter } from './checked.js';
import { loadWithBar } from './data.js';
import { interruptible } from './interrupt.js';
import { printable } from './latents.js';
import * as options from './options.js';
import { count, Reporter, type ReporterOptions } from './reporter.js';
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
  const opening = await options.openOptions(values);
  const gpu = await openGpu(opening);
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
    await checkAdapter({ gpu, opening, reporter });
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
  const { heading, rows } = densityTable(figures);
  const latents = rows.map(([, text]) => Number(text.replaceAll(',', '')));
  const bar = (i: number) => '█'.repeat(Math.ceil((widest * latents[i]) / Math.max(...latents)));
  const densities = markdown
    ? { heading, rows }
    : { heading: [...heading, ''], rows: rows.map((row, i) => [...row, bar(i)]) };
  const tables = [figureTable(`${name}, ${count(figures.rows)} rows`, model.hidden, figures), densities];
  const labels = labelTable(figures);
  if (labels.rows.length > 0) {
    tables.push({
      ...labels,
      rows: labels.rows.slice(0, shownLabels).map(([label, ...others]) => [printable(label), ...others]),
    });
  }
  const table = markdown ? markdownTable : textTable;
  tables.forEach(({ heading, rows }, i) => {
    if (i > 0) reporter.line('');
    for (const line of table(heading, rows)) reporter.line(line);
  });
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
