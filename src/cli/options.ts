import { Option } from 'commander';
import {
  activations,
  ConfigError,
  datasetNames,
  type EngineOption,
  elementNames,
  elementTypes,
  type FeaturesKind,
  featuresKinds,
  formatNames,
  type ImageShape,
  isImageShape,
  modelOptions,
  normalizeNames,
  type OpenOptions,
  readTiles,
  synthPresetNames,
  synthPresets,
  trainOptions,
} from '../node/index.js';
import { parseBoolean, parseBytes, parseList, parseNumber, parsePair } from './arguments.js';
import type { ReporterOptions } from './reporter.js';
import { onDivergence } from './setbacks.js';

// Options of the engine come from its own descriptions; the commands' own options are declared here, once.
// Names are kebab-case here; normalizeArguments() accepts snake_case as well.

export function text(flags: string, description: string, standard?: string): Option {
  return new Option(flags, description).default(standard);
}

function numeric(flags: string, description: string, standard: number): Option {
  return new Option(flags, description).default(standard).argParser(parseNumber);
}

export function boolean(flags: string, description: string, standard: boolean): Option {
  const option = new Option(flags, description).default(standard, shown(standard));
  const name = snakeCase(option.name());
  return option.argParser((word) => parseBoolean(name, word));
}

/** An option's name in files and messages. */
export function snakeCase(name: string): string {
  return name.replaceAll('-', '_');
}

/** Epochs if `auto` falls back to a sixth of the digits: as many steps as 20 epochs of all of them. */
export const fallbackEpochs = 120;

/** Latents of a new model of words-10k, which the 20 of digits are too few for. */
export const wordLatents = [512];

/** What a command adds to the engine's description of an option. */
const remarks: Readonly<Record<string, string>> = {
  epochs: `; ${fallbackEpochs} if auto falls back to mnist-10k`,
  h_dims: `; "${JSON.stringify(wordLatents)}" with dataset words-10k`,
};

const placeholders = {
  number: '<x>',
  whole: '<n>',
  flag: '[bool]',
  list: '<list>',
  pair: '<a,b>',
  choice: '<name>',
} as const;

/** An option of the engine. Its default is only shown: the engine fills in options that are not given. */
function fromEngine(own: EngineOption): Option {
  const { name, kind, standard } = own;
  const flags = `--${name.replaceAll('_', '-')} ${placeholders[kind]}`;
  const option = new Option(flags, own.description + (remarks[name] ?? '') + otherDefaults(own));
  switch (kind) {
    case 'flag':
      return option.default(standard, shown(standard)).argParser((word) => parseBoolean(name, word));
    case 'list':
      return option.default(standard, `"${JSON.stringify(standard)}"`).argParser(parseList);
    case 'pair':
      return option.default(standard, String(standard)).argParser(parsePair);
    case 'choice':
      return option.default(standard);
    default:
      return option.default(standard).argParser(parseNumber);
  }
}

/** A default as it is typed. */
function shown(standard: unknown): string {
  if (typeof standard === 'boolean') {
    return standard ? 'True' : 'False';
  }
  return typeof standard === 'number' && standard > 0 && standard < 1e-3
    ? standard.toExponential()
    : String(standard);
}

/** Names the kinds of sparsity or update rules that an option belongs to, with their defaults if these differ. */
function otherDefaults({ owners = [] }: EngineOption): string {
  // A choice with a single value is not an option.
  if (!trainOptions.some(({ name }) => name === owners[0]?.choice)) {
    return '';
  }
  const namesOf = new Map<string, string[]>();
  for (const { value, option } of owners) {
    // Where it is left to the engine, the description says what that is.
    const own = shown(option.standard ?? owners[0].option.standard);
    namesOf.set(own, [...(namesOf.get(own) ?? []), value]);
  }
  const groups = [...namesOf].map(
    ([own, names]) => names.join(', ') + (namesOf.size > 1 ? `: ${own}` : ' only'),
  );
  return ` (${owners[0].choice} ${groups.join('; ')})`;
}

const engineModel = modelOptions.map(fromEngine);
const engineTraining = trainOptions.filter(({ name }) => name !== 'seed').map(fromEngine);
export const seedOption = fromEngine(trainOptions.find(({ name }) => name === 'seed') as EngineOption);

export const modelGroup = engineModel;

/** An option whose default depends on the preset. */
function ofPreset(own: EngineOption): Option {
  const option = fromEngine(own).default(undefined);
  option.description += " (default: the preset's)";
  return option;
}

/** What the stream of rows decides: how long it is, and that every row is new. */
const ofStream = ['epochs', 'steps', 'shuffle', 'seed'];

const watchOption = boolean(
  '--watch [bool]',
  'draw loss, explained variance, L0 and dead latents as curves on the terminal while it trains',
  false,
);

/** Options of training on synthetic rows: those of any training, with some defaults of the preset. */
export const synthGroup = [
  new Option('--preset <name>', 'size of the data and of the training')
    .choices(synthPresetNames)
    .default('tiny'),
  ...modelOptions.filter(({ name }) => name === 'h_dims').map(ofPreset),
  ...modelOptions.filter(({ name }) => name === 'pre_bias' || name === 'tied').map(fromEngine),
  new Option('--steps <n>', "training steps (default: the preset's)").argParser(parseNumber),
  ...trainOptions
    .filter(({ name }) => !ofStream.includes(name))
    .map((own) => (own.name in synthPresets.tiny.training ? ofPreset(own) : fromEngine(own))),
  text('--seed <n>', 'seed of the features, the rows and the weights').default(42).argParser(parseNumber),
  watchOption,
];

/** What a command that reads a model takes. */
export const savedModel = 'a file that `sae train --save-model` wrote, or what `sae import` takes';

/** For a saved model whose file does not name its activation. */
export const activationOption = new Option(
  '--activation <name>',
  'activation of a model whose file does not name it, such as one of another program (default: relu)',
).choices(activations);

export const trainingGroup = [
  ...engineTraining,
  boolean('--train [bool]', 'False: do not train; needs --init', true),
  text('--init <path>', 'start from a saved model, or one that `sae import` takes; its sizes apply'),
  new Option(
    '--resume [path]',
    'go on with the training whose snapshot is in --files-dir, or in that file or folder; its options need not be given again',
  ),
  text(
    '--save-every <when>',
    'how often a snapshot goes to --files-dir, from which --resume goes on: 1000 (steps), 2epochs or 10min; or never (default: 10min)',
  ),
  new Option(
    '--on-divergence <how>',
    'what happens when a loss, gradient or moment is not finite: stop keeps the model from before; rollback goes on from the last snapshot with half the lr, up to 5 times',
  )
    .choices(onDivergence)
    .default('stop'),
  boolean('--save-model [bool]', 'save the model as sae.safetensors in --files-dir', false),
  boolean('--save-plots [bool]', 'write the pictures, and the report as report.html in --files-dir', true),
  text('--step-metrics <file>', 'write the metrics of each step as well, as .csv or .jsonl'),
  text('--epoch-metrics <file>', 'write the metrics of each epoch as .csv or .jsonl, besides metrics.jsonl'),
  text(
    '--tensorboard <folder>',
    'write the metrics of steps, epochs and held-out rows for TensorBoard, as a new event file there',
  ),
  text(
    '--animate <steps>',
    'if rows are images: draw all decoder directions every so many steps, as the animation features.webp in --images-dir',
  ).argParser(parseNumber),
  watchOption,
  text(
    '--files-dir <folder>',
    'folder for the model, snapshots, metrics.jsonl, run.json and latents.csv',
    'files',
  ),
];

export const normalizeOption = text(
  '--normalize <how>',
  `${normalizeNames} or MEAN,STD (default: the data set's own, or the saved model's)`,
);

export const tensorOption = text(
  '--column, --tensor <name>',
  'the array or column to read from files that name theirs, or a pattern with * and ? (default: what alone may be rows)',
);

export const rowsTypeOption = text(
  '--rows-type <type>',
  'type of the values in raw files, little-endian without a header, whose rows have --in-dims values; files of other formats are read as they are',
).choices(elementTypes);

/** Takes one path each time it is given: with several in a row, words that follow would be taken for paths. */
function paths(flags: string, description: string): Option {
  return new Option(flags, description).argParser((path: string, before: readonly string[] = []) => [
    ...before,
    path,
  ]);
}

/** Options that take a path each time they are given. */
export const repeatedNames: ReadonlySet<string> = new Set(['data', 'validation']);

export function dataOption(): Option {
  return paths(
    '--data <path>',
    `your own rows: a file, a folder of files, a quoted pattern or an address (https://...), and again for more; ${formatNames}, of ${elementNames}; - for a .npy file on standard input`,
  );
}

export const imageShapeOption = text(
  '--image-shape <h,w>',
  "rows are images of this height and width, H,W of greys or H,W,3 of red, green and blue, which come last (default: the data's own, or the saved model's)",
).argParser(parsePair);

/** For rows that are more than memory holds. */
export const windowOption = new Option(
  '--window <bytes>',
  'memory for rows on the device, such as 500MB: more rows than that are read again and again, and shuffled within half of it (default: what is free, up to 2 GiB on a GPU)',
).argParser((word) => parseBytes('window', word));

export const dataGroup = [
  text(
    '--dataset <name>',
    'auto: mnist if it is cached or can be downloaded, else mnist-10k; words-10k are vectors of words',
    'auto',
  ).choices(datasetNames),
  dataOption(),
  tensorOption,
  rowsTypeOption,
  normalizeOption,
  imageShapeOption,
  boolean('--download-mnist [bool]', 'allow the download of MNIST', true),
  text('--data-dir <folder>', "folder for downloads (default: the user's cache folder)"),
  windowOption,
];

export const nonfiniteOption = new Option(
  '--nonfinite <how>',
  'what rows of data do that have values that are not finite: stop ends the run, skip leaves these rows out',
)
  .choices(['stop', 'skip'])
  .default('stop');

export const reportOption = text('--out <file>', 'the report', 'report.html');
export const synthReportOption = text(
  '--report <file>',
  'write a report as `sae report` does, in which the labels of rows are the features that are active there, such as f3 f17',
);
export const neuronpediaOption = text(
  '--neuronpedia <folder>',
  'write the latents as JSON lines that Neuronpedia imports as well, into a folder MODEL/LAYER-SET such as exports/gpt2-small/6-res-mine',
);

export const partOptions = [
  new Option(
    '--split <share>',
    'hold out this share of the rows, such as 0.05, and measure it at the end; which rows these are depends on their files and places alone',
  ).argParser(parseNumber),
  nonfiniteOption,
];

export const validationOption = paths(
  '--validation <path>',
  'held-out rows, measured at the end: files, folders and patterns, as data takes them',
);

export const labelsOption = text(
  '--labels <file>',
  'a label for each row of data: lines of text, .jsonl, or the column label of a .csv or .tsv',
);

export const pictureGroup = [
  numeric('--num-samples <n>', 'samples in plot.png', 5),
  text(
    '--features <kind>',
    "what features.png shows: each latent's decoder direction (decoder), or the first layer's weights (encoder)",
    'decoder',
  ).choices(featuresKinds),
  text('--images-dir <folder>', 'folder for the pictures', 'images'),
];

export const jsonOption = boolean('--json [bool]', 'print one JSON object per line, and nothing else', false);

export const sparseOption = boolean(
  '--sparse [bool]',
  'leave values that are 0 out of a .safetensors file: data, indices and indptr of CSR, as .npz has them',
  false,
);

export const quietOption = boolean('--quiet [bool]', 'print errors only', false);

export const profileOption = boolean(
  '--profile [bool]',
  'also time each kernel of a step by itself, and the host',
  false,
);

export const otherVariancesOption = boolean(
  '--other-variances [bool]',
  'also tell the explained variance as other libraries define it; rows are then read twice',
  false,
);

export const markdownOption = boolean('--markdown [bool]', 'print Markdown', false);

export const tuningOption = boolean(
  '--tuning [bool]',
  'also list the tiles that were found fastest on each adapter',
  false,
);

export const checkOption = boolean(
  '--check [bool]',
  'also hold what each adapter computes against known answers',
  false,
);

export const runGroup = [
  text('--adapter <name>', "part of the adapter's name, as `sae devices` lists it"),
  text(
    '--tune <how>',
    'how the tiles of matrix products are chosen: off, quick, full, or the run.json of a run to repeat',
    'quick',
  ),
  quietOption,
  jsonOption,
];

const all = [
  ...modelGroup,
  ...trainingGroup,
  ...dataGroup,
  validationOption,
  ...partOptions,
  ...pictureGroup,
  seedOption,
  ...runGroup,
  sparseOption,
  profileOption,
  tuningOption,
  checkOption,
  otherVariancesOption,
  markdownOption,
];

/** Options that take True or False, or stand alone for True, in kebab-case. */
export const booleanNames: ReadonlySet<string> = new Set(
  all.filter(({ flags }) => flags.endsWith('[bool]')).map((option) => option.name()),
);

/** The options whose value has several numbers, by their names in snake_case: a list in brackets, or a pair. */
export const listNames: ReadonlyMap<string, string> = new Map([
  ...[...modelOptions, ...trainOptions]
    .filter(({ kind }) => kind === 'list' || kind === 'pair')
    .map(({ name, kind }) => [name, kind] as const),
  ['normalize', 'pair'],
  ['image_shape', 'pair'],
]);

/** The given options of the engine, of its model and of training, for its own check. */
export function engineValues(values: object, given: ReadonlySet<string>) {
  const pick = (options: readonly EngineOption[]) =>
    Object.fromEntries(
      Object.entries(values).filter(([name]) => given.has(name) && options.some((own) => own.name === name)),
    );
  return { model: pick(modelOptions), training: pick(trainOptions) };
}

/** The options of pictures. */
export interface PictureValues {
  readonly num_samples: number;
  readonly images_dir: string;
  readonly features: FeaturesKind;
  readonly image_shape?: ImageShape | undefined;
}

/** Checks what can be checked without data. @throws ConfigError */
export function checkPictures({ num_samples, image_shape }: PictureValues): void {
  if (!isCount(num_samples)) {
    throw new ConfigError(`num_samples must be a whole number of at least 1, and is ${num_samples}.`);
  }
  checkImageShape(image_shape);
}

/** Options of a training that have no effect without one. */
const ofTraining = [
  'animate',
  'watch',
  'resume',
  'save_every',
  'step_metrics',
  'epoch_metrics',
  'tensorboard',
] as const;

/** @throws ConfigError */
export function checkTraining(
  values: ReporterOptions & {
    readonly train: boolean;
    readonly animate?: number;
    readonly watch: boolean;
  } & {
    readonly [name in (typeof ofTraining)[number]]?: unknown;
  },
): void {
  const { animate, train } = values;
  if (animate !== undefined && !isCount(animate)) {
    throw new ConfigError(`animate must be a whole number of steps of at least 1, and is ${animate}.`);
  }
  checkWatch(values);
  const named = ofTraining.find((name) => values[name] ?? false);
  if (named !== undefined && !train) {
    throw new ConfigError(`${named} is of a training, and train is False. Leave one out.`);
  }
}

/** @throws ConfigError */
export function checkWatch(values: ReporterOptions & { readonly watch: boolean }): void {
  const silent = (['json', 'quiet'] as const).find((name) => values[name]);
  if (values.watch && silent) {
    throw new ConfigError(
      `watch draws on the terminal, where ${silent} leaves no room for it. Leave one out.`,
    );
  }
}

/** @throws ConfigError */
export function checkImageShape(image_shape: PictureValues['image_shape']): void {
  if (image_shape && !isImageShape(image_shape)) {
    throw new ConfigError(
      `image_shape must be a height and a width in values, such as 28,28, or with colours 28,28,3, and is ${image_shape}.`,
    );
  }
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

/** The meaning of `--adapter` and `--tune`. @throws ConfigError */
export async function openOptions({
  adapter,
  tune,
}: {
  readonly adapter?: string;
  readonly tune: string;
}): Promise<OpenOptions> {
  if (tune === 'off' || tune === 'quick' || tune === 'full') {
    return { adapter, tune };
  }
  return { adapter, tune: 'off', tiles: await readTiles(tune) };
}
