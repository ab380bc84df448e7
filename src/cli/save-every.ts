import { ConfigError } from '../node/index.js';

/** How often a training is saved: after so many steps, epochs or minutes. */
export interface SaveEvery {
  readonly count: number;
  readonly unit: 'steps' | 'epochs' | 'minutes';
  /** Whether a user asked for it. */
  readonly given: boolean;
}

/** Where nobody says how often: what a crash may cost. */
const standard = '10min';

const units = { '': 'steps', step: 'steps', epoch: 'epochs', min: 'minutes', minute: 'minutes' } as const;

/** The meaning of `--save_every`; undefined for never. @throws ConfigError. */
export function parseSaveEvery(text: string | undefined): SaveEvery | undefined {
  if (text === 'never') return undefined;
  const [, number, unit] =
    /^\s*(\d+(?:\.\d+)?)\s*(|steps?|epochs?|min|minutes?)\s*$/i.exec(text ?? standard) ?? [];
  const count = Number(number);
  const name = units[unit?.toLowerCase().replace(/s$/, '') as keyof typeof units];
  if (number === undefined || !(count > 0) || (name !== 'minutes' && !Number.isSafeInteger(count))) {
    throw new ConfigError(
      `save_every is "${text}"; expected so many steps, epochs or minutes, such as 1000, 2epochs or 10min, or never.`,
    );
  }
  return { count, unit: name, given: text !== undefined };
}
