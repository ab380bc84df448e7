import { Command, Option } from 'commander';
import { elementNames, formatNames } from '../node/index.js';
import { valuesOf } from './arguments.js';
import * as options from './options.js';
import { type WriteRowsValues, type WrittenRows, writeRows } from './write-rows.js';

const codes: WrittenRows = {
  what: 'latents',
  field: 'hidden',
  width: (model) => model.hidden,
  of: (model, block) => model.encode(block),
};

/** `sae encode`. */
export function encodeCommand(): Command {
  const command = new Command('encode')
    .description('write the codes of rows, their latents, as a .npy file of f32, [rows, latents]')
    .argument('<model>', options.savedModel)
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
    await writeRows(file, valuesOf<WriteRowsValues>(command).values, codes);
  });
}
