import type { Command } from 'commander';
import { ConfigError } from '../node/index.js';

const booleanWord = /^(true|false|1|0)$/i;
/** Of a sweep, which tries both. */
const booleanWords = /^(true|false|1|0)(,(true|false|1|0))*$/i;

/**
 * Normalises the command line for commander: snake_case option names become kebab-case, and a boolean option gets its
 * value joined (`--save_model True` and `--save-model` become `--save-model=true`, `--no-save-plots` becomes
 * `--save-plots=false`). Commander by itself would take any word that follows as the value.
 * @param booleans the names of the boolean options.
 */
export function normalizeArguments(words: readonly string[], booleans: ReadonlySet<string>): string[] {
  const out: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    if (word === '--') {
      return [...out, ...words.slice(i)];
    }
    const [, written, value] = /^--([A-Za-z0-9_-]+)(=.*)?$/s.exec(word) ?? [];
    if (written === undefined) {
      out.push(word);
      continue;
    }
    const name = written.replaceAll('_', '-');
    if (booleans.has(name)) {
      const takesNext = value === undefined && booleanWords.test(words[i + 1] ?? '');
      const text = value?.slice(1) ?? (takesNext ? words[++i] : 'true');
      out.push(`--${name}=${text}`);
    } else if (name.startsWith('no-') && booleans.has(name.slice(3)) && value === undefined) {
      out.push(`--${name.slice(3)}=false`);
    } else {
      out.push(`--${name}${value ?? ''}`);
    }
  }
  return out;
}

export function parseBoolean(name: string, text: string): boolean {
  if (!booleanWord.test(text)) {
    throw new ConfigError(`${name} must be True or False, and is "${text}".`);
  }
  return /^(true|1)$/i.test(text);
}

/** NaN if it is not a number: the check of the configuration then reports it. */
export function parseNumber(text: string): number {
  return text.trim() === '' ? Number.NaN : Number(text);
}

/** `[256, 128, 64]`, or `20` for a list of one. The check of the configuration reports anything else. */
export function parseList(text: string): number[] {
  let value: unknown = text;
  try {
    value = JSON.parse(text);
  } catch {}
  return (typeof value === 'number' ? [value] : value) as number[];
}

/** `0.9,0.999`, in brackets or not. The check of the configuration reports anything else. */
export function parsePair(text: string): number[] {
  return parseList(/^\s*\[/.test(text) ? text : `[${text}]`);
}

const units: Readonly<Record<string, number>> = { '': 0, k: 1, m: 2, g: 3, t: 4 };

/** Bytes: a number, or one with a unit, of which MB are 1000 and MiB 1024 times as many as the one below. @throws ConfigError. */
export function parseBytes(name: string, text: string): number {
  const [, number, unit, binary] = /^\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*$/i.exec(text) ?? [];
  const bytes = Number(number) * (binary ? 1024 : 1000) ** units[unit?.toLowerCase() ?? ''];
  if (number === undefined || !(bytes >= 1)) {
    throw new ConfigError(`${name} is "${text}"; expected a number of bytes, such as 500MB or 2GiB.`);
  }
  return bytes;
}

/** The options' values by their names in snake_case, which of them the user gave, and their defaults. */
export function valuesOf<T>(command: Command): {
  values: T;
  given: ReadonlySet<string>;
  standards: Readonly<Record<string, unknown>>;
} {
  const snake = (key: string) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const standards = Object.fromEntries(
    command.options.map((option) => [snake(option.attributeName()), option.defaultValue]),
  );
  const values: Record<string, unknown> = {};
  const given = new Set<string>();
  for (const [key, value] of Object.entries(command.opts())) {
    const name = snake(key);
    values[name] = value;
    if (command.getOptionValueSource(key) === 'cli') {
      given.add(name);
    }
  }
  return { values: values as T, given, standards };
}
