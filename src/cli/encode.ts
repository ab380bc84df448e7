import { Command, Option } from 'commander';
import { Model, openGpu, readDataset, readModelFile, sliceRows, writeNpy } from '../node/index.js';
import { valuesOf } from './arguments.js';
import { interruptible } from './interrupt.js';
import * as options from './options.js';
import { count, Reporter, type ReporterOptions } from './reporter.js';
import { modelNormalization } from './saved.js';

/** Rows encoded and written at a time, so that the codes need never be in memory whole. */
const rowsAtATime = 8192;

interface EncodeValues extends ReporterOptions {
  readonly data: string;
  readonly out: string;
  readonly normalize?: string;
  readonly adapter?: string;
  readonly tune: string;
}

/** `sae encode`. */
export function encodeCommand(): Command {
  const command = new Command('encode')
    .description('write the hidden activations of rows as a .npy file of f32, [rows, hidden]')
    .argument('<model>', 'a file that `sae train --save-model` wrote')
    .addOption(
      new Option('--data <file>', 'rows: .npy (u8, f32, f64) or IDX, either gzipped').makeOptionMandatory(),
    )
    .addOption(new Option('--out <file>', 'the .npy file to write').makeOptionMandatory())
    .addOption(options.normalizeOption);
  for (const option of options.runOptions) {
    command.addOption(option);
  }
  return command.action(async (file: string) => {
    await encode(file, valuesOf<EncodeValues>(command).values);
  });
}

async function encode(file: string, values: EncodeValues): Promise<void> {
  const { data, out } = values;
  const reporter = new Reporter(values);
  const signal = interruptible(reporter);
  const saved = await readModelFile(file);
  const { in_dims } = saved.config;
  const normalize = modelNormalization(file, saved, values.normalize);
  const dataset = await readDataset(data, { in_dims, normalize });
  const gpu = await openGpu(await options.openOptions(values));
  try {
    const model = await Model.from(gpu, saved.config, saved.parameters);
    const { rows } = dataset;
    async function* blocks() {
      for (let first = 0; first < rows; first += rowsAtATime) {
        // Thrown here, it lets writeNpy take away what it has written.
        signal.throwIfAborted();
        yield await model.encode(sliceRows(dataset, first, Math.min(rows, first + rowsAtATime)));
      }
    }
    await writeNpy(out, [rows, model.hidden], blocks());
    reporter.line(`${out}  ${count(rows)} rows of ${model.hidden} hidden activations`);
    reporter.json({ out, rows, hidden: model.hidden });
  } finally {
    gpu.close();
  }
}
