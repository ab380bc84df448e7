import { Command } from 'commander';
import {
  type AdapterDescription,
  type CheckResult,
  checkDevice,
  describeAdapters,
  EngineError,
  NoAdapterError,
  openGpu,
  passedChecks,
  resultInWords,
  type Tiles,
  tuningFile,
} from '../node/index.js';
import { valuesOf } from './arguments.js';
import { checkOption, jsonOption, tuningOption } from './options.js';

interface DevicesValues {
  readonly json: boolean;
  readonly tuning: boolean;
  readonly check: boolean;
}

/** `sae devices`. */
export function devicesCommand(): Command {
  const command = new Command('devices')
    .description('list the adapters, their limits and features, and which one would be used; and check them')
    .addOption(tuningOption)
    .addOption(checkOption)
    .addOption(jsonOption);
  return command.action(async () => {
    const { json, tuning, check } = valuesOf<DevicesValues>(command).values;
    const adapters = await describeAdapters();
    if (adapters.length === 0) {
      // This throws an error that says what to install.
      await openGpu();
      throw new NoAdapterError('Dawn lists no adapter.');
    }
    const wrong: string[] = [];
    for (const adapter of adapters) {
      const tiles = tuning ? await storedTiles(adapter) : undefined;
      if (!json) {
        process.stdout.write(`${describe(adapter, adapters.length)}\n${tiles ? describeTiles(tiles) : ''}`);
      }
      const checks = check ? await checked(adapter, !json) : undefined;
      const failed = checks?.filter(({ ok }) => !ok) ?? [];
      if (json) {
        process.stdout.write(
          `${JSON.stringify({ ...adapter, ...(tiles && { tiles }), ...(checks && { checks }) })}\n`,
        );
      }
      if (failed.length > 0) {
        const named = failed.map(({ name }) => name).join(', ');
        wrong.push(
          `${adapter.name} (${adapter.driver}) fails ${failed.length} of ${checks?.length} checks: ${named}`,
        );
      }
    }
    if (wrong.length > 0) {
      throw new EngineError(
        `${wrong.join('. ')}. What it computes is wrong: update its driver, or use another one.`,
      );
    }
  });
}

/** Holds an adapter against known answers. @param telling whether each result is printed. */
async function checked({ name }: AdapterDescription, telling: boolean): Promise<CheckResult[]> {
  const gpu = await openGpu({ adapter: name, tune: 'off' });
  try {
    const results: CheckResult[] = [];
    if (telling) process.stdout.write('  known answers\n');
    for await (const result of checkDevice(gpu)) {
      results.push(result);
      if (telling) process.stdout.write(`    ${result.ok ? 'right' : 'WRONG'}  ${resultInWords(result)}\n`);
    }
    await passedChecks.remember(gpu, results);
    return results;
  } finally {
    gpu.close();
  }
}

function describe(adapter: AdapterDescription, adapters: number): string {
  const { name, backend, vendor, architecture, driver, software, used, limits, features } = adapter;
  const why = adapters === 1 ? 'the only one' : 'the one that Dawn prefers for speed';
  const rows = [
    ['backend', backend],
    ['vendor', [vendor, architecture].filter(Boolean).join(', ')],
    ['driver', driver],
    ['kind', software ? 'software: runs on the processor, not on a GPU' : 'GPU'],
    ['used', used ? `yes: ${why}; --adapter names another` : `with --adapter "${name}"`],
    ['features', features.join(', ')],
    ...Object.entries(limits).map(([limit, value]) => [limit, value.toLocaleString('en')]),
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  return [name, ...rows.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`)].join('\n');
}

async function storedTiles({ name }: AdapterDescription): Promise<Tiles> {
  const gpu = await openGpu({ adapter: name });
  try {
    return await gpu.tuner.stored();
  } finally {
    gpu.close();
  }
}

function describeTiles(tiles: Tiles): string {
  const shapes = Object.entries(tiles);
  const where = `(${tuningFile()})`;
  if (shapes.length === 0) {
    return `  no tiles were timed on it yet ${where}\n`;
  }
  const lines = shapes.map(([shape, { family, ...constants }]) => {
    const values = Object.entries(constants).map(([name, value]) => `${name} ${value}`);
    return `    ${shape.padEnd(20)} ${family.padEnd(9)} ${values.join(', ')}`;
  });
  return [`  tiles that were fastest on it ${where}`, ...lines, ''].join('\n');
}
