import {
  type EngineOption,
  liveSettings,
  type ModelConfig,
  type ModelOptions,
  modelOptions,
  parseModelConfig,
  parseTrainConfig,
  type SparsityName,
  type TrainConfig,
  type TrainOptions,
  trainedConfig,
  trainOptions,
} from '../../sae/index.js';

/**
 * The data has the input size; the mean, to which pre_bias_init is left, suits all rows; the other options, and those of
 * update rules, are only on the command line.
 */
const omitted: readonly string[] = [
  'in_dims',
  'steps',
  'lr_warmup',
  'lr_decay',
  'lr_decay_steps',
  'sparsity_warmup',
  'k_decay',
  'shuffle',
  'pre_bias_init',
  // Of its values, quadratic needs a target, which has no default.
  'l0_loss',
  // Each has a weight of its own.
  'auxk_loss',
  'clip_norm',
  'optimizer',
];

/** What a visitor can set, by the names of the options of `sae train`, with those of the chosen kind of sparsity. */
export type Settings = Pick<ModelConfig, 'h_dims' | 'activation'> &
  Pick<TrainConfig<SparsityName>, 'batch_size' | 'epochs' | 'lr' | 'sparsity' | 'seed'> &
  Readonly<Record<string, unknown>>;

/** All settings, of every kind of sparsity. */
export const settingOptions: readonly EngineOption[] = [
  ...modelOptions,
  ...trainOptions.filter(({ owners }) => owners?.[0].choice !== 'optimizer'),
].filter(({ name }) => !omitted.includes(name));

/** Whether a setting takes effect while a model is trained. The others need a new model. */
export function isLive(name: string): boolean {
  return name === 'epochs' || liveSettings.includes(name);
}

const standardModel = { h_dims: [30], activation: 'relu' } as const;
const standardTraining = {
  sparsity: 'kl',
  lr: 1e-3,
  sparsity_lambda: 0.1,
  sparsity_target: 0.1,
} as const;

/** These give readable features in about twenty seconds on a software adapter, with no dead latent. */
export const standard: Settings = complete(standardModel, standardTraining);

/** The data that the page has. */
export const datasetNames = ['mnist-10k', 'words-10k'] as const;
export type DatasetName = (typeof datasetNames)[number];

/** The settings that suit each of them. */
export const standards: Readonly<Record<DatasetName, Settings>> = {
  'mnist-10k': standard,
  'words-10k': complete({ h_dims: [512] }, { sparsity: 'batchtopk', k: 16 }),
};

/** A setting's text in a field or the address; '' if it is left to the engine. */
export function settingText(settings: Settings, name: string): string {
  const value = settings[name];
  return Array.isArray(value) ? value.join(', ') : String(value ?? '');
}

/**
 * The settings with one of them read from text. Another kind of sparsity brings its own options.
 * @throws ConfigError.
 */
export function withSetting(settings: Settings, name: string, text: string): Settings {
  const value = readValue(name, text);
  const { model, training } = parted(settings);
  if (modelOptions.some((option) => option.name === name)) {
    return complete({ ...model, [name]: value }, training);
  }
  if (name !== 'sparsity') {
    return complete(model, { ...training, [name]: value });
  }
  const kept = trainOptions.filter((option) => !option.owners && option.name in training);
  const common = Object.fromEntries(kept.map((option) => [option.name, settings[option.name]]));
  const own = value === standardTraining.sparsity ? standardTraining : { sparsity: value };
  return complete({ ...model, pre_bias: undefined }, { ...common, ...own });
}

/** The options of the model, and those of training. */
export function parted(settings: Settings) {
  const ofModel = (name: string) => modelOptions.some((option) => option.name === name);
  const pick = (wanted: boolean) =>
    Object.fromEntries(Object.entries(settings).filter(([name]) => ofModel(name) === wanted));
  return { model: pick(true) as ModelOptions, training: pick(false) as TrainOptions<SparsityName> };
}

/** What a model's configuration, which leaves out what the model lacks, is among the settings. */
export function modelSettings({ h_dims, activation, pre_bias = false, tied = false }: ModelConfig) {
  return { h_dims, activation, pre_bias, tied };
}

/** Settings with the engine's defaults for those that are left out. @throws ConfigError. */
function complete(model: object, training: object): Settings {
  const options = training as TrainOptions<SparsityName>;
  const sizes = parseModelConfig(model, parseTrainConfig(options).sparsity);
  const config = parseTrainConfig(options, sizes);
  const all = { ...modelSettings(trainedConfig(sizes, config)), ...config };
  const offered = settingOptions.filter(
    ({ owners }) => !owners || owners.some(({ value }) => value === config.sparsity),
  );
  return Object.fromEntries(offered.map(({ name }) => [name, all[name as 'lr']])) as unknown as Settings;
}

function readValue(name: string, text: string): unknown {
  const option = settingOptions.find((own) => own.name === name);
  if (text.trim() === '' && option?.standard === undefined) {
    return undefined;
  }
  switch (option?.kind) {
    case 'choice':
      return text;
    case 'flag':
      return text === 'true' || (text === 'false' ? false : text);
    case 'list':
    case 'pair':
      return text
        .replace(/^\s*\[|\]\s*$/g, '')
        .split(/[\s,]+/)
        .filter(Boolean)
        .map(number);
    default:
      return number(text);
  }
}

/** A text that is not a number stays a text, so that the message can quote it. */
function number(text: string): number | string {
  const value = Number(text);
  return text.trim() === '' || Number.isNaN(value) ? text : value;
}

/** What an address says. */
export interface Address {
  readonly settings: Settings;
  /** The built-in data, if it names some. */
  readonly dataset: DatasetName | undefined;
  /** A message for each invalid setting. */
  readonly faults: readonly string[];
}

/** Reads the part of an address after `#`. Settings that it does not name are those that suit the data. */
export function fromAddress(hash: string): Address {
  const faults: string[] = [];
  const given = new URLSearchParams(hash.replace(/^#/, ''));
  const named = given.get('dataset');
  const dataset = datasetNames.find((name) => name === named);
  if (named !== null && !dataset) {
    faults.push(`dataset must be ${datasetNames.join(' or ')}, and is ${JSON.stringify(named)}.`);
  }
  let settings = standards[dataset ?? 'mnist-10k'];
  // The kind of sparsity first: it determines which others there are.
  for (const name of ['sparsity', ...settingOptions.map((option) => option.name)]) {
    const text = given.get(name);
    given.delete(name);
    if (text === null) {
      continue;
    }
    try {
      settings = withSetting(settings, name, text);
    } catch (error) {
      faults.push((error as Error).message);
    }
  }
  return { settings, dataset, faults };
}

/**
 * An address with all settings, so that a link means the same even if the page's standard settings change.
 * @param dataset undefined for rows that no address has.
 */
export function toAddress(settings: Settings, dataset: DatasetName | undefined): string {
  const set = Object.keys(settings).filter((name) => settings[name] !== undefined);
  const texts = set.map((name) => `${name}=${settingText(settings, name).replaceAll(' ', '')}`);
  return `#${[...(dataset ? [`dataset=${dataset}`] : []), ...texts].join('&')}`;
}
