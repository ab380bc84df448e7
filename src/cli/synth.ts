import { Command } from 'commander';
import {
  Model,
  measureRecovery,
  openGpu,
  prepareReport,
  type SparsityName,
  SynthData,
  type SynthPreset,
  type SynthPresetName,
  type SynthScores,
  sizesInWords,
  synthPresets,
  synthRun,
  Trainer,
} from '../node/index.js';
import { valuesOf } from './arguments.js';
import { checkAdapter } from './checked.js';
import { interruptible } from './interrupt.js';
import * as options from './options.js';
import { describedSubject, makeReport } from './report.js';
import { count, Reporter, type ReporterOptions } from './reporter.js';
import { startWatch } from './watch.js';

/** Rows of the report, at most. */
const reportedRows = 16_384;
/** Batches in each of the two windows of rows on the device. */
const windowBatches = 16;

interface SynthValues extends ReporterOptions {
  readonly preset: SynthPresetName;
  readonly seed: number;
  readonly adapter?: string;
  readonly tune: string;
  readonly watch: boolean;
  readonly report?: string;
}

/** `sae synth`. */
export function synthCommand(): Command {
  const command = new Command('synth')
    .description('train on sums of known features, and score how well they are recovered')
    .addHelpText(
      'after',
      `
tiny takes seconds on a software adapter, small minutes. 16k is the benchmark
SynthSAEBench-16k: 200 million rows, for a GPU.`,
    );
  for (const option of [...options.synthGroup, options.synthReportOption, ...options.runGroup]) {
    command.addOption(option);
  }
  return command.action(async () => {
    const { values, given } = valuesOf<SynthValues>(command);
    await synth(values, given);
  });
}

async function synth(values: SynthValues, given: ReadonlySet<string>): Promise<void> {
  const { preset: name, seed, watch } = values;
  options.checkWatch(values);
  const preset: SynthPreset = synthPresets[name];
  const run = synthRun(preset, seed, options.engineValues(values, given));
  const { sizes, config, evaluation } = run;
  const { steps, batch_size } = config;
  const { report } = values;
  if (report !== undefined) await prepareReport(report);
  const reporter = new Reporter(values);
  const signal = interruptible(reporter, 'steps');
  const opening = await options.openOptions(values);
  const gpu = await openGpu(opening);
  try {
    reporter.line(`device      ${gpu.name}${gpu.software ? ' (software: no GPU)' : ''}`);
    reporter.line(
      `data        ${name}: ${count(preset.data.features)} features in ${sizes.in_dims} dimensions`,
    );
    reporter.line(`training    ${count(steps)} steps of ${batch_size} rows`);
    const data = await makeData(preset, seed, reporter, signal);
    const model = await Model.create<SparsityName>(gpu, sizes, config, data.source(run.start_rows));
    reporter.line(`parameters  ${count(model.parameterCount)} (${sizesInWords(model.config)})`);
    const placement = { window_rows: windowBatches * batch_size };
    const trainer = await Trainer.create<SparsityName>(model, data.source(run.rows), config, placement);
    await checkAdapter({ gpu, opening, reporter, sparsity: config.sparsity });
    const done = await train(trainer, steps, watch, reporter, signal);
    // What was learned until an interruption is measured too.
    if (done < steps) reporter.line(`trained     ${count(done)} of ${count(steps)} steps`);
    reporter.startBar(evaluation.rows, 'scores');
    const scores = await measureRecovery(model, data, evaluation, (at) =>
      reporter.updateBar(at, 'scores', ''),
    );
    reporter.stopBar();
    printScores(scores, model.hidden, reporter);
    const { epochs: _, steps: _steps, ...settings } = config;
    reporter.json({ preset: name, steps: done, h_dims: model.config.h_dims, ...settings, ...scores });
    if (report !== undefined) {
      const rows = data.dataset(evaluation.first, Math.min(evaluation.rows, reportedRows));
      const subject = describedSubject(model, `the model of ${name}`, rows, config, undefined, undefined);
      await makeReport([subject], report, reporter);
    }
    signal.throwIfAborted();
  } finally {
    reporter.stopBar();
    gpu.close();
  }
}

function makeData(
  { data }: SynthPreset,
  seed: number,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<SynthData> {
  reporter.startBar(data.orthogonalize.steps, 'features');
  const progress = (step: number) => reporter.updateBar(step, 'features', '');
  return SynthData.create({ ...data, seed }, { progress, signal }).finally(() => reporter.stopBar());
}

/** @returns the steps that were done. @throws NonFiniteLossError. */
async function train(
  trainer: Trainer<SparsityName>,
  steps: number,
  watch: boolean,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<number> {
  const { model, config } = trainer;
  const label = 'training';
  let done = 0;
  try {
    const watched = { steps, latents: model.hidden, sparsity: config.sparsity, label };
    const curves = await startWatch(reporter, watch, watched);
    for await (const told of trainer.steps({ count: steps, signal })) {
      curves?.add(told.steps, told.epoch);
      done = told.steps[told.steps.length - 1].step;
      reporter.updateBar(done, label, `${count(told.samples_per_second)} samples/s`);
    }
    return done;
  } finally {
    reporter.stopBar();
    trainer.close();
  }
}

/** Prints the scores as a table. */
function printScores(scores: SynthScores, latents: number, reporter: Reporter): void {
  const { mcc, uniqueness, precision, recall, f1, l0, true_l0, dead, r2, mse } = scores;
  const lines = [
    ['MCC', mcc.toFixed(4), 'mean |cosine| of latents and the features matched to them'],
    ['uniqueness', uniqueness.toFixed(4), 'different best features per latent'],
    ['F1', f1.toFixed(4), 'of the latents as detectors of their best features'],
    ['precision', precision.toFixed(4), ''],
    ['recall', recall.toFixed(4), ''],
    ['L0', l0.toFixed(2), `${true_l0.toFixed(2)} features are active in a row`],
    ['dead', String(dead), `of ${count(latents)} latents`],
    ['R2', r2.toFixed(4), ''],
    ['MSE', mse.toPrecision(4), ''],
  ];
  for (const [score, value, about] of lines) {
    reporter.line(`${score.padEnd(10)}  ${value.padStart(8)}  ${about}`.trimEnd());
  }
}
