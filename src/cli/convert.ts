import { Command, Option } from 'commander';
import {
  checkFile,
  importedOf,
  isOurModel,
  modelOf,
  onnxFiles,
  readForeignModel,
  type SaeFiles,
  type SavedModel,
  saeFormats,
  saelensFiles,
  sizesInWords,
  sparsifyFiles,
  writeForeignModel,
  writeModelFile,
} from '../node/index.js';
import { valuesOf } from './arguments.js';
import * as options from './options.js';
import { Reporter, type ReporterOptions } from './reporter.js';
import { readSaved } from './saved.js';

/** What models can be written for. */
const writers = {
  saelens: (saved, file) => saelensFiles(importedOf(saved, file)),
  sparsify: (saved, file) => sparsifyFiles(importedOf(saved, file)),
  onnx: (saved) => onnxFiles(saved),
} as const satisfies Record<string, (saved: SavedModel, file: string) => SaeFiles>;
type Target = keyof typeof writers;

interface ConvertValues extends Pick<ReporterOptions, 'json'> {
  readonly out: string;
  readonly to: Target;
}

/** `sae import`. */
export function importCommand(): Command {
  const tools = saeFormats.map(({ tool }) => tool).join(', ');
  const command = new Command('import')
    .description('make a model of this program of one that another program saved')
    .argument('<path>', `its folder, or its file: ${tools}`)
    .addOption(new Option('--out <file>', 'the .safetensors file to write').makeOptionMandatory())
    .addOption(options.jsonOption);
  return command.action(async (path: string) => {
    const { values } = valuesOf<ConvertValues>(command);
    const { out } = values;
    const reporter = new Reporter({ ...values, quiet: false });
    await checkFile(out, isOurModel);
    const sae = await readForeignModel(path);
    const model = modelOf(sae);
    await writeModelFile(out, model);
    for (const note of sae.notes) {
      reporter.warn(note);
    }
    const from = [sae.tool, sae.tool_version].filter(Boolean).join(' ');
    const { activation } = sae;
    const kept = activation.kind === 'topk' ? `topk ${activation.k}` : activation.kind;
    reporter.line(`${out}  ${sizesInWords(model.config)}, ${kept}, from ${from}`);
    reporter.json({ out, ...model.config, tool: sae.tool, notes: sae.notes, ignored: sae.ignored });
  });
}

/** `sae export`. */
export function exportCommand(): Command {
  const command = new Command('export')
    .description('write a saved model for another program, or as ONNX')
    .argument('<model>', options.savedModel)
    .addOption(
      new Option(
        '--to <format>',
        'the program; onnx: a model.onnx for any that runs ONNX, such as ONNX Runtime',
      )
        .choices(Object.keys(writers))
        .makeOptionMandatory(),
    )
    .addOption(new Option('--out <folder>', 'the folder to write its files into').makeOptionMandatory())
    .addOption(options.jsonOption);
  return command.action(async (file: string) => {
    const { values } = valuesOf<ConvertValues>(command);
    const { out, to } = values;
    const reporter = new Reporter({ ...values, quiet: false });
    const saved = await readSaved(file, reporter);
    const files = writers[to](saved, file);
    await writeForeignModel(out, files);
    const names = [...files.keys()];
    reporter.line(`${out}  ${names.join(', ')}`);
    reporter.json({ out, files: names });
  });
}
