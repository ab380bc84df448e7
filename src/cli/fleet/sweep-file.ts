import { readFile } from 'node:fs/promises';
import type { Command, Option } from 'commander';
import { describeFileError } from '../../node/data/files.js';
import { ConfigError, type EngineOption, sweepOptions } from '../../node/index.js';
import { parseBoolean, parseList } from '../arguments.js';
import { repeatedNames, snakeCase } from '../options.js';

/** Names of options whose values a sweep tries. */
export const triedNames: ReadonlySet<string> = new Set(sweepOptions.map(({ name }) => name));

/** A range as it is typed: `1e-4..1e-2`, `16..64:3` or `1e-4..1e-2:5:log`. */
const range = /^([^.:]+(?:\.\d[^.:]*)?)\.\.([^:]+?)(?::(\d+))?(?::(log|linear))?$/;

/** What is typed as an option of a sweep, as a sweep's file would have it. The check of the sweep reports what is wrong. */
export function parseChoices({ kind, name }: Pick<EngineOption, 'kind' | 'name'>, text: string): unknown {
  if (kind === 'list' || kind === 'pair') {
    const bracketed = /^\s*\[/.test(text);
    const values = parseList(`[${text}]`);
    return bracketed && values.length === 1 ? values[0] : values;
  }
  const [, from, to, count, scale] = range.exec(text.trim()) ?? [];
  if (from !== undefined && (kind === 'number' || kind === 'whole')) {
    return {
      from: numberIn(from),
      to: numberIn(to),
      ...(count && { count: Number(count) }),
      ...(scale && { scale }),
    };
  }
  const values = text.split(',').map((word) => {
    if (kind === 'choice') return word.trim();
    return kind === 'flag' ? parseBoolean(name, word.trim()) : numberIn(word);
  });
  return values.length === 1 ? values[0] : values;
}

/** What is no number stays as it is typed, for the message. */
function numberIn(text: string): unknown {
  const value = Number(text);
  return text.trim() === '' || Number.isNaN(value) ? text.trim() : value;
}

/** Reads a sweep's file, of YAML or JSON. @throws ConfigError with the line of a fault. */
export async function readSweepFile(file: string): Promise<Readonly<Record<string, unknown>>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new ConfigError(`The sweep ${file} cannot be read: ${describeFileError(error)}.`, { cause: error });
  }
  // Other commands need not wait for it.
  const { parseDocument } = await import('yaml');
  const document = parseDocument(text);
  const [fault] = document.errors;
  if (fault) {
    const [{ line, col }] = fault.linePos ?? [{ line: 1, col: 1 }];
    throw new ConfigError(
      `The sweep ${file} is no YAML: line ${line}, column ${col}: ${fault.message.split('\n')[0].replace(/ at line.*$/, '')}.`,
    );
  }
  const value: unknown = document.toJS();
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigError(`The sweep ${file} must have options by their names, such as k: [16, 32].`);
  }
  return value as Record<string, unknown>;
}

/** The options of a command, with those of its file where they were not given. @throws ConfigError. */
export async function valuesWithFile<T extends { readonly config?: string }>(
  command: Command,
  { values, given }: { readonly values: T; readonly given: ReadonlySet<string> },
): Promise<{ values: T; given: ReadonlySet<string> }> {
  if (values.config === undefined) return { values, given };
  const all: Record<string, unknown> = { ...values };
  const now = new Set(given);
  for (const [name, value] of Object.entries(await readSweepFile(values.config))) {
    if (given.has(name) || value === null) continue;
    const option = command.options.find((one) => snakeCase(one.name()) === name);
    // What is tried is checked as it is; and what is no option there is told.
    const asItIs = !option || triedNames.has(name) || typeof value === 'number';
    all[name] = asItIs ? value : parsed(option, value, name);
    now.add(name);
  }
  const unknown = Object.keys(all).find(
    (name) =>
      now.has(name) && name !== 'grids' && !command.options.some((one) => snakeCase(one.name()) === name),
  );
  if (unknown !== undefined) {
    throw new ConfigError(
      `There is no option ${JSON.stringify(unknown)} in the sweep ${values.config}. Leave it out, or look at its spelling.`,
    );
  }
  return { values: all as unknown as T, given: now };
}

/** A value of a file as if it had been typed. */
function parsed({ parseArg }: Option, value: unknown, name: string): unknown {
  const words = (Array.isArray(value) ? value : [value]).map(String);
  if (repeatedNames.has(name)) return words;
  const text = words.join(',');
  return parseArg ? parseArg(text, undefined as never) : text;
}
