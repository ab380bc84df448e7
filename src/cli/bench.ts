import { Command } from 'commander';
import {
  type BenchmarkCase,
  type BenchmarkResult,
  type GemmResult,
  type Gpu,
  LimitError,
  measureGemm,
  measurePeak,
  measureTraining,
  OutOfMemoryError,
  openGpu,
  type Peak,
  type Spread,
  stepFlops,
} from '../node/index.js';
import { valuesOf } from './arguments.js';
import * as options from './options.js';
import { count, Reporter, type ReporterOptions } from './reporter.js';
import { measureSharing, shared } from './sharing.js';

const cases: BenchmarkCase[] = [
  { in_dims: 784, h_dims: [20], batch_size: 64 },
  { in_dims: 784, h_dims: [256, 128, 64], batch_size: 64 },
  { in_dims: 784, h_dims: [1024], batch_size: 64 },
  { in_dims: 784, h_dims: [4096], batch_size: 256 },
  { in_dims: 768, h_dims: [4096], batch_size: 1024 },
  { in_dims: 100, h_dims: [2048], batch_size: 256, k: 16 },
  { in_dims: 768, h_dims: [4096], batch_size: 1024, k: 32 },
  { in_dims: 768, h_dims: [16384], batch_size: 1024, k: 32 },
  { in_dims: 768, h_dims: [24576], batch_size: 4096 },
];

/** How many of the products are those of the first case's step: the first ones. */
const productsOfFirst = 5;
const gemms = [
  ['nt', [64, 20, 784]],
  ['nt', [64, 784, 20]],
  ['nn', [64, 20, 784]],
  ['tn', [784, 20, 64]],
  ['tn', [20, 784, 64]],
  ['nn', [256, 256, 256]],
  ['nn', [512, 512, 512]],
  ['nn', [1024, 1024, 1024]],
  ['nn', [4096, 4096, 4096]],
] as const;

/** A step or a GEMM with more operations than this takes too long on a software adapter. */
const softwareFlops = 5e10;

interface BenchValues extends ReporterOptions {
  readonly adapter?: string;
  readonly tune: string;
  readonly profile: boolean;
}

/** `sae bench`. */
export function benchCommand(): Command {
  const command = new Command('bench')
    .description('time training steps and single GEMMs on an adapter, and what a sweep saves')
    .addOption(options.profileOption);
  for (const option of options.runGroup) {
    command.addOption(option);
  }
  return command.action(async () => {
    await bench(valuesOf<BenchValues>(command).values);
  });
}

async function bench(values: BenchValues): Promise<void> {
  const reporter = new Reporter(values);
  const gpu = await openGpu(await options.openOptions(values));
  try {
    const peak = await measurePeak(gpu);
    reporter.json({ adapter: gpu.name, software: gpu.software, ...peak });
    reporter.line(
      `${gpu.name}: at best ${peak.gflops.toFixed(1)} GFLOP/s, ${peak.gigabytes.toFixed(1)} GB/s copied`,
    );
    reporter.line();
    reporter.line(row(trainingColumns, Object.keys(trainingColumns)));
    const steps: (number | undefined)[] = [];
    for (const benchmarkCase of cases) {
      steps.push(await training(gpu, benchmarkCase, peak, values.profile, reporter));
    }
    reporter.line();
    reporter.line(row(gemmColumns, Object.keys(gemmColumns)));
    const products: (number | undefined)[] = [];
    for (const [order, shape] of gemms) {
      products.push(await gemm(gpu, order, shape, peak, reporter));
    }
    compareWithProducts(steps[0], products.slice(0, productsOfFirst), reporter);
  } finally {
    gpu.close();
  }
  await sharing(values, reporter);
}

/** Compares a sweep with a command for each of its models. */
async function sharing(values: BenchValues, reporter: Reporter): Promise<void> {
  const { model, batch_size, models } = shared;
  const { one_by_one, sweep } = await measureSharing(values);
  const times = one_by_one.median / sweep.median;
  reporter.json({ ...shared, one_by_one, sweep, times_as_fast: times });
  const seconds = (of: Spread) => `${of.median.toFixed(1)} s (${of.min.toFixed(1)} to ${of.max.toFixed(1)})`;
  reporter.line();
  reporter.line(
    `${models} models of ${model} at ${batch_size} take ${seconds(one_by_one)} by a command each, and ${seconds(sweep)} by a sweep: ` +
      `${times.toFixed(2)} times as fast.`,
  );
}

/** Compares the time of a step with that of its products. */
function compareWithProducts(
  step: number | undefined,
  products: readonly (number | undefined)[],
  reporter: Reporter,
): void {
  const sum = products.reduce((total: number, product) => total + (product ?? Number.NaN), 0);
  if (step === undefined || Number.isNaN(sum)) {
    return;
  }
  const { in_dims, h_dims, batch_size } = cases[0];
  const name = [in_dims, ...h_dims].join('-');
  reporter.json({ model: name, batch_size, of_products: step / sum });
  reporter.line();
  reporter.line(
    `A step of ${name} at ${batch_size} takes ${(step / sum).toFixed(2)} times as long as its ${products.length} ` +
      `products by themselves (${sum.toPrecision(4)} ms).`,
  );
}

/** Reports that a case was left out because the adapter cannot run it. @throws any other error. */
function skipped(reporter: Reporter, of: object, name: string, error: unknown): undefined {
  if (!(error instanceof LimitError || error instanceof OutOfMemoryError)) {
    throw error;
  }
  reporter.json({ ...of, skipped: error.message });
  reporter.line(`${name}: skipped. ${error.message}`);
}

/** Milliseconds per step; undefined if it was skipped. */
async function training(
  gpu: Gpu,
  benchmarkCase: BenchmarkCase,
  peak: Peak,
  profile: boolean,
  reporter: Reporter,
): Promise<number | undefined> {
  const { in_dims, h_dims, batch_size, k } = benchmarkCase;
  const name = [in_dims, ...h_dims].join('-') + (k === undefined ? '' : ` k ${k}`);
  if (gpu.software && stepFlops(benchmarkCase) > softwareFlops) {
    const why = new LimitError('A step is too much work for a software adapter.');
    return skipped(reporter, { model: name, batch_size }, `${name} at ${batch_size}`, why);
  }
  let result: BenchmarkResult;
  try {
    result = await measureTraining(gpu, benchmarkCase, profile);
  } catch (error) {
    return skipped(reporter, { model: name, batch_size }, `${name} at ${batch_size}`, error);
  }
  const { step, samples_per_second, gflops, gigabytes, first_step_seconds, device_bytes } = result;
  const of_peak = gflops / peak.gflops;
  const of_copy = gigabytes / peak.gigabytes;
  reporter.json({ model: name, ...result, of_peak, of_copy });
  reporter.line(
    row(trainingColumns, [
      name,
      String(batch_size),
      step.median.toPrecision(4),
      range(step),
      count(samples_per_second),
      gflops.toFixed(1),
      percent(of_peak),
      percent(of_copy),
      (device_bytes / 2 ** 20).toFixed(1),
      String(result.dispatches),
      result.submits.toPrecision(2),
      `${first_step_seconds.toFixed(2)} s`,
    ]),
  );
  if (result.profile) {
    const { kernels, host } = result.profile;
    for (const { name: kernel, time } of kernels) {
      reporter.line(`    ${time.median.toFixed(4)} ms  ${kernel}`);
    }
    const { encoding, waiting, other } = host;
    const parts = [`${waiting.toFixed(4)} ms waiting for the device`, `${encoding.toFixed(4)} encoding`];
    reporter.line(`    host: ${parts.join(', ')}, ${other.toFixed(4)} everything else, per step`);
  }
  return step.median;
}

/** Milliseconds per product; undefined if it was skipped. */
async function gemm(
  gpu: Gpu,
  order: (typeof gemms)[number][0],
  shape: readonly [number, number, number],
  peak: Peak,
  reporter: Reporter,
): Promise<number | undefined> {
  const name = shape.join('x');
  if (gpu.software && 2 * shape[0] * shape[1] * shape[2] > softwareFlops) {
    return skipped(
      reporter,
      { gemm: name },
      name,
      new LimitError('It is too much work for a software adapter.'),
    );
  }
  let result: GemmResult;
  try {
    result = await measureGemm(gpu, order, shape);
  } catch (error) {
    return skipped(reporter, { gemm: name }, name, error);
  }
  const { milliseconds, gflops, gigabytes } = result;
  const of_peak = gflops / peak.gflops;
  const of_copy = gigabytes / peak.gigabytes;
  reporter.json({ gemm: name, ...result, of_peak, of_copy });
  const cells = [name, order, milliseconds.median.toPrecision(4), range(milliseconds), gflops.toFixed(1)];
  reporter.line(row(gemmColumns, [...cells, percent(of_peak), percent(of_copy), result.tile.family]));
  return milliseconds.median;
}

/** The columns of a table and their widths. */
type Columns = Readonly<Record<string, number>>;

const trainingColumns: Columns = {
  model: 16,
  batch: 5,
  'ms a step': 9,
  'min-max': 13,
  'samples/s': 9,
  'GFLOP/s': 8,
  'of peak': 7,
  'of copy': 7,
  MiB: 7,
  'disp.': 5,
  submits: 7,
  '1st step': 8,
};
const gemmColumns: Columns = {
  GEMM: 16,
  order: 5,
  ms: 9,
  'min-max': 13,
  'GFLOP/s': 8,
  'of peak': 7,
  'of copy': 7,
  family: 9,
};

function row(columns: Columns, cells: readonly string[]): string {
  return Object.values(columns)
    .map((width, i) => (i === 0 ? cells[i].padEnd(width) : cells[i].padStart(width)))
    .join(' ');
}

function range({ min, max }: Spread): string {
  return `${min.toPrecision(3)}-${max.toPrecision(3)}`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}
