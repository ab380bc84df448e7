import { type ModelConfig, parseModelConfig, parseTrainConfig, type TrainConfig } from '../sae/index.js';

/** What a visitor can set, by the names that the options of `sae train` have. */
export type Settings = Pick<ModelConfig, 'h_dims' | 'activation'> & Omit<TrainConfig, 'shuffle'>;
export type SettingName = keyof Settings;

/** Readable features within some twenty seconds on a software adapter, every unit in use. */
export const standard: Settings = {
  h_dims: [30],
  activation: 'relu',
  batch_size: 64,
  epochs: 20,
  lr: 1e-3,
  sparsity_lambda: 0.1,
  sparsity_target: 0.1,
  seed: 42,
};

export const settingNames = Object.keys(standard) as SettingName[];

/** What takes a new model or a new trainer; all else changes while it trains. */
export const needRestart: readonly SettingName[] = ['h_dims', 'activation', 'batch_size', 'seed'];

/** A setting as a field or the address shows it. */
export function settingText(settings: Settings, name: SettingName): string {
  return name === 'h_dims' ? settings.h_dims.join(', ') : String(settings[name]);
}

/** The settings with one read from text. @throws ConfigError with a sentence. */
export function withSetting(settings: Settings, name: SettingName, text: string): Settings {
  const { in_dims: _, ...model } = parseModelConfig({
    h_dims: settings.h_dims,
    activation: settings.activation,
    ...((name === 'h_dims' || name === 'activation') && { [name]: readValue(name, text) }),
  });
  const { h_dims: _h, activation: _a, ...training } = settings;
  const { shuffle: _s, ...train } = parseTrainConfig({
    ...training,
    ...(!(name in model) && { [name]: readValue(name, text) }),
  });
  return { ...model, ...train };
}

function readValue(name: SettingName, text: string): unknown {
  switch (name) {
    case 'activation':
      return text;
    case 'h_dims':
      return text
        .replace(/^\s*\[|\]\s*$/g, '')
        .split(/[\s,]+/)
        .filter(Boolean)
        .map(number);
    default:
      return number(text);
  }
}

/** A text that is no number stays as it is, so that the sentence about it can quote it. */
function number(text: string): number | string {
  const value = Number(text);
  return text.trim() === '' || Number.isNaN(value) ? text : value;
}

/** Reads the part of an address after `#`. What it does not name is standard; what makes no sense has its sentence. */
export function fromAddress(hash: string): { settings: Settings; faults: string[] } {
  let settings = standard;
  const faults: string[] = [];
  const given = new URLSearchParams(hash.replace(/^#/, ''));
  for (const name of settingNames) {
    const text = given.get(name);
    if (text === null) {
      continue;
    }
    try {
      settings = withSetting(settings, name, text);
    } catch (error) {
      faults.push((error as Error).message);
    }
  }
  return { settings, faults };
}

/** All settings, so that a link still means the same when the page's standard ones change. */
export function toAddress(settings: Settings): string {
  return `#${settingNames.map((name) => `${name}=${settingText(settings, name).replaceAll(' ', '')}`).join('&')}`;
}
