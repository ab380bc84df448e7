import { type Command, Option } from 'commander';
import { sweepOptions } from '../../node/index.js';
import { parseNumber } from '../arguments.js';
import * as options from '../options.js';
import { parseChoices } from './sweep-file.js';

/** Options of the engine, of each of which a sweep tries several values. */
export const triedOptions = sweepOptions.map((own) => {
  const { name, description, owners = [] } = own;
  const kinds =
    owners.length > 0 ? ` (${owners[0].choice} ${owners.map(({ value }) => value).join(', ')})` : '';
  return new Option(`--${name.replaceAll('_', '-')} <values>`, description + kinds).argParser((text) =>
    parseChoices(own, text),
  );
});

function whole(flags: string, description: string): Option {
  return new Option(flags, description).argParser(parseNumber);
}

const flag = options.boolean;

export const sweepGroup = [
  new Option('--config <file>', 'the sweep as a file of YAML or JSON, with the same options by their names'),
  whole('--seeds <n>', 'train each with so many seeds, from --seed on (default: 1)'),
  whole('--random <n>', 'draw so many combinations, in the place of all'),
  whole(
    '--halving <factor>',
    'of trials that differ in how they are optimised alone, let one in so many go on at each stage, by their loss',
  ),
  whole('--side-by-side <n>', 'trials that train side by side on the same rows, at most (default: 8)'),
  flag(
    '--dry-run [bool]',
    'only say how many trials there are, how long they take and how much memory',
    false,
  ),
  flag('--yes [bool]', 'do not ask before a sweep of more than 1,000 trials', false),
];

export const fleetGroup = [
  new Option(
    '--store <where>',
    'where the trials are kept: a folder, which may be shared, or s3://BUCKET/PREFIX (default: sweep in --files-dir)',
  ),
  new Option(
    '--on <queue>',
    'hand out the trials by a queue of Redis or Valkey, redis://HOST, from which `sae worker --on` takes them',
  ),
  whole('--priority <n>', 'of its groups in the queue: 0 comes first (default: 0)'),
  new Option(
    '--slurm <file>',
    'write a batch script for Slurm, whose tasks train the trials; the store is to be a folder that they share, or a bucket',
  ),
  new Option(
    '--sbatch <option>',
    'an option of sbatch for that script, such as --sbatch=--partition=gpu, and again for more',
  ).argParser((word: string, before: readonly string[] = []) => [...before, word]),
  whole('--at-once <n>', 'tasks of that script that run at once, at most'),
];

/** Of a sweep that goes on elsewhere. */
export const followGroup = [
  new Option('--sweep <id>', 'the sweep of the store to look at, if it has several'),
  flag('--status [bool]', 'only say how far the sweep is', false),
  flag('--watch [bool]', 'follow the sweep until it has ended', false),
  flag('--pause [bool]', 'have the queue of --on hand out nothing', false),
  flag('--resume [bool]', 'have it hand out again', false),
];

export const adaptersOption = new Option(
  '--adapters <names>',
  'all, or parts of the names of adapters, each of which gets a process of its own; one that is named twice gets two (default: the preferred one)',
);

/** The options of rows, and of where results go. */
export const placeGroup = [
  ...options.dataGroup,
  options.labelsOption,
  options.validationOption,
  ...options.partOptions,
  options.text(
    '--save-every <when>',
    'how often a snapshot goes to the store: 1000 (steps), 2epochs or 10min; or never',
    '10min',
  ),
  options.text(
    '--files-dir <folder>',
    'folder for sweep.jsonl, the report sweep.html and, by default, the store',
    'files',
  ),
  options.text('--images-dir <folder>', 'folder for the picture pareto.png', 'images'),
];

export function addAll(command: Command, all: readonly Option[]): void {
  for (const option of all) command.addOption(option);
}
