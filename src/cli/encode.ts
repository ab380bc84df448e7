import { fstatSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { Command, Option } from 'commander';
import {
  type Activation,
  ConfigError,
  checkRoom,
  elementNames,
  formatNames,
  Model,
  openGpu,
  readDataset,
  sliceRows,
  writeNpy,
} from '../node/index.js';
import { valuesOf } from './arguments.js';
import { interruptible } from './interrupt.js';
import * as options from './options.js';
import { count, Reporter, type ReporterOptions } from './reporter.js';
import { modelNormalization, readSaved } from './saved.js';

/** Rows encoded and written at a time, so that not all codes are in memory at once. */
const rowsAtATime = 8192;

/** Its file descriptor. */
const stdout = 1;

interface EncodeValues extends ReporterOptions {
  readonly activation?: Activation;
  readonly data: string;
  readonly out: string;
  readonly normalize?: string;
  readonly adapter?: string;
  readonly tune: string;
}

/** `sae encode`. */
export function encodeCommand(): Command {
  const command = new Command('encode')
    .description('write the codes of rows, their latents, as a .npy file of f32, [rows, latents]')
    .argument('<model>', 'a file that `sae train --save-model` wrote')
    .addOption(
      new Option(
        '--data <file>',
        `rows: ${formatNames}, of ${elementNames}, gzipped or not`,
      ).makeOptionMandatory(),
    )
    .addOption(new Option('--out <file>', 'the .npy file to write').makeOptionMandatory())
    .addOption(options.activationOption)
    .addOption(options.normalizeOption);
  for (const option of options.runGroup) {
    command.addOption(option);
  }
  return command.action(async (file: string) => {
    await encode(file, valuesOf<EncodeValues>(command).values);
  });
}

async function encode(file: string, values: EncodeValues): Promise<void> {
  const { data, out } = values;
  const target = identityOf(out);
  if (target !== undefined && [data, file].some((input) => identityOf(input) === target)) {
    throw new ConfigError(`out is ${out}, which is also read and would be overwritten. Choose another file.`);
  }
  // With `--out /dev/stdout`, lines would get into the codes.
  const intoStdout = target !== undefined && target === identityOf(stdout);
  const reporter = new Reporter({ ...values, quiet: values.quiet || intoStdout });
  const signal = interruptible(reporter);
  const saved = await readSaved(file, reporter, values.activation);
  const { in_dims } = saved.config;
  const normalize = modelNormalization(file, saved, values.normalize);
  const dataset = await readDataset(data, { in_dims, normalize });
  const gpu = await openGpu(await options.openOptions(values));
  try {
    const model = await Model.from(gpu, saved.config, saved.parameters);
    const { rows } = dataset;
    await checkRoom(dirname(out), rows * model.hidden * 4, out);
    async function* blocks() {
      for (let first = 0; first < rows; first += rowsAtATime) {
        // If this throws, writeNpy removes what it has written.
        signal.throwIfAborted();
        yield await model.encode(sliceRows(dataset, first, Math.min(rows, first + rowsAtATime)));
      }
    }
    await writeNpy(out, [rows, model.hidden], blocks());
    reporter.line(`${out}  ${count(rows)} rows of ${model.hidden} latents`);
    reporter.json({ out, rows, hidden: model.hidden });
  } finally {
    gpu.close();
  }
}

/** What is the same for all paths to a file; undefined if there is none that can be looked at. */
function identityOf(file: string | typeof stdout): string | undefined {
  try {
    const { dev, ino } =
      file === stdout ? fstatSync(file, { bigint: true }) : statSync(file, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
