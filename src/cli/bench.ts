import { Command } from 'commander';
import {
  type BenchmarkCase,
  type BenchmarkResult,
  type Gpu,
  LimitError,
  measureGemm,
  measurePeak,
  measureTraining,
  openGpu,
  type Peak,
  stepFlops,
} from '../node/index.js';
import { valuesOf } from './arguments.js';
import * as options from './options.js';
import { count, Reporter, type ReporterOptions } from './reporter.js';

const cases: BenchmarkCase[] = [
  { in_dims: 784, h_dims: [20], batch_size: 64 },
  { in_dims: 784, h_dims: [256, 128, 64], batch_size: 64 },
  { in_dims: 784, h_dims: [1024], batch_size: 64 },
  { in_dims: 784, h_dims: [4096], batch_size: 256 },
  { in_dims: 768, h_dims: [4096], batch_size: 1024 },
  { in_dims: 768, h_dims: [24576], batch_size: 4096 },
];

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

/** A step, or a GEMM, of more work than this is out of reach of a processor that stands in for a GPU. */
const softwareFlops = 5e9;

interface BenchValues extends ReporterOptions {
  readonly adapter?: string;
  readonly tune: string;
  readonly profile: boolean;
}

/** `sae bench`. */
export function benchCommand(): Command {
  const command = new Command('bench')
    .description('time training steps and single GEMMs on an adapter')
    .addOption(options.profileOption);
  for (const option of options.runOptions) {
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
    reporter.line(
      row([
        'model',
        'batch',
        'ms a step',
        'min-max',
        'samples/s',
        'GFLOP/s',
        'of peak',
        'MiB',
        'disp.',
        '1st step',
      ]),
    );
    for (const benchmarkCase of cases) {
      await training(gpu, benchmarkCase, peak, values.profile, reporter);
    }
    reporter.line();
    reporter.line(row(['GEMM', 'order', 'ms', 'min-max', '', 'GFLOP/s', 'of peak', '', '', '']));
    for (const [order, shape] of gemms) {
      await gemm(gpu, order, shape, peak, reporter);
    }
  } finally {
    gpu.close();
  }
}

async function training(
  gpu: Gpu,
  benchmarkCase: BenchmarkCase,
  peak: Peak,
  profile: boolean,
  reporter: Reporter,
): Promise<void> {
  const { in_dims, h_dims, batch_size } = benchmarkCase;
  const name = [in_dims, ...h_dims].join('-');
  if (gpu.software && stepFlops(benchmarkCase) > softwareFlops) {
    reporter.line(`${name} at ${batch_size}: skipped, a step is too much work for a software adapter.`);
    return;
  }
  let result: BenchmarkResult;
  try {
    result = await measureTraining(gpu, benchmarkCase, profile);
  } catch (error) {
    if (error instanceof LimitError) {
      reporter.line(`${name} at ${batch_size}: skipped. ${error.message}`);
      return;
    }
    throw error;
  }
  const { step, samples_per_second, gflops, first_step_seconds, device_bytes, dispatches } = result;
  reporter.json({ model: name, ...result, of_peak: gflops / peak.gflops });
  reporter.line(
    row([
      name,
      String(batch_size),
      step.median.toFixed(3),
      `${step.min.toFixed(3)}-${step.max.toFixed(3)}`,
      count(samples_per_second),
      gflops.toFixed(1),
      percent(gflops / peak.gflops),
      (device_bytes / 2 ** 20).toFixed(1),
      String(dispatches),
      `${first_step_seconds.toFixed(2)} s`,
    ]),
  );
  for (const { name: kernel, time } of result.profile ?? []) {
    reporter.line(`    ${time.median.toFixed(3)} ms  ${kernel}`);
  }
}

async function gemm(
  gpu: Gpu,
  order: (typeof gemms)[number][0],
  shape: readonly [number, number, number],
  peak: Peak,
  reporter: Reporter,
): Promise<void> {
  const name = shape.join('x');
  if (gpu.software && 2 * shape[0] * shape[1] * shape[2] > softwareFlops) {
    reporter.line(`${name}: skipped, too much work for a software adapter.`);
    return;
  }
  const result = await measureGemm(gpu, order, shape);
  const { milliseconds, gflops } = result;
  reporter.json({ gemm: name, ...result, of_peak: gflops / peak.gflops });
  const range = `${milliseconds.min.toFixed(3)}-${milliseconds.max.toFixed(3)}`;
  reporter.line(
    row([
      name,
      order,
      milliseconds.median.toFixed(3),
      range,
      '',
      gflops.toFixed(1),
      percent(gflops / peak.gflops),
      '',
      '',
      '',
    ]),
  );
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

function row(cells: readonly string[]): string {
  const widths = [16, 6, 10, 16, 11, 8, 8, 8, 6, 9];
  return cells
    .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
    .join(' ')
    .trimEnd();
}
