import { Command } from 'commander';
import { type AdapterDescription, describeAdapters, NoAdapterError, openGpu } from '../node/index.js';
import { valuesOf } from './arguments.js';
import { jsonOption } from './options.js';

/** `sae devices`. */
export function devicesCommand(): Command {
  const command = new Command('devices')
    .description('list the adapters, which would be used and why, their limits and features')
    .addOption(jsonOption);
  return command.action(async () => {
    const { json } = valuesOf<{ json: boolean }>(command).values;
    const adapters = await describeAdapters();
    if (adapters.length === 0) {
      // Opening one says what to install.
      await openGpu();
      throw new NoAdapterError('Dawn names no adapter.');
    }
    for (const adapter of adapters) {
      process.stdout.write(json ? `${JSON.stringify(adapter)}\n` : `${describe(adapter, adapters.length)}\n`);
    }
  });
}

function describe(adapter: AdapterDescription, adapters: number): string {
  const { name, backend, vendor, architecture, driver, software, used, limits, features } = adapter;
  const why = adapters === 1 ? 'the only one' : 'the one that Dawn prefers for speed';
  const rows = [
    ['backend', backend],
    ['vendor', [vendor, architecture].filter(Boolean).join(', ')],
    ['driver', driver],
    ['kind', software ? 'software: a processor stands in for a GPU' : 'GPU'],
    ['used', used ? `yes: ${why}; --adapter names another` : `with --adapter "${name}"`],
    ['features', features.join(', ')],
    ...Object.entries(limits).map(([limit, value]) => [limit, value.toLocaleString('en')]),
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  return [name, ...rows.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`)].join('\n');
}
