import { Command, Option } from 'commander';
import { ConfigError, type Model } from '../node/index.js';
import { parseNumber, valuesOf } from './arguments.js';
import * as options from './options.js';
import { type WriteRowsValues, type WrittenRows, writeRows } from './write-rows.js';

interface EncodeValues extends WriteRowsValues {
  readonly k?: number;
}

const codes: WrittenRows = {
  what: 'latents',
  tensor: 'codes',
  sparse: true,
  field: 'hidden',
  width: (model) => model.hidden,
  of: (model, block) => model.encode(block),
};

/** `sae encode`. */
export function encodeCommand(): Command {
  const command = new Command('encode')
    .description('write the codes of rows, their latents, [rows, latents] of f32')
    .argument('<model>', options.savedModel)
    .addOption(options.dataOption().makeOptionMandatory())
    .addOption(
      new Option(
        '--out <file>',
        'the file to write: .npy; .safetensors, as the tensor codes; or .npz, sparse, for scipy.sparse.load_npz',
      ).makeOptionMandatory(),
    )
    .addOption(options.sparseOption)
    .addOption(
      new Option(
        '--k <number>',
        'keep the k largest latents of each row, whatever the model selects itself',
      ).argParser(parseNumber),
    )
    .addOption(options.tensorOption)
    .addOption(options.rowsTypeOption)
    .addOption(options.activationOption)
    .addOption(options.normalizeOption)
    .addOption(options.nonfiniteOption)
    .addOption(options.windowOption);
  for (const option of options.runGroup) {
    command.addOption(option);
  }
  return command.action(async (file: string) => {
    const { values } = valuesOf<EncodeValues>(command);
    const { k } = values;
    if (k !== undefined && !(Number.isInteger(k) && k >= 1)) {
      throw new ConfigError(`k must be a whole number of at least 1, and is ${k}.`);
    }
    const select = (model: Model) => {
      const { selection } = model.config;
      const rescaled = selection?.rescale_acts_by_decoder_norm && {
        rescale_acts_by_decoder_norm: true as const,
      };
      model.select({ topk: k!, ...rescaled });
    };
    const selecting = k === undefined ? {} : { prepare: select };
    await writeRows(file, values, { ...codes, ...selecting });
  });
}
