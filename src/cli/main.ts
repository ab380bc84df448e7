#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { ConfigError, EngineError } from '../node/index.js';
import { normalizeArguments } from './arguments.js';
import { benchCommand } from './bench.js';
import { devicesCommand } from './devices.js';
import { encodeCommand } from './encode.js';
import { Interrupted, interruptedStatus } from './interrupt.js';
import { reconstructCommand } from './reconstruct.js';
import { trainCommand, trainExamples } from './train.js';

const usageStatus = 2;
const failureStatus = 1;

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

function program(): Command {
  const train = trainCommand();
  const others = [reconstructCommand(), encodeCommand(), devicesCommand(), benchCommand()];
  const sae = new Command('sae')
    .description('Trains sparse autoencoders on WebGPU and looks inside them.')
    .version(version)
    .addCommand(train, { isDefault: true })
    // `sae --help` shows what `sae` does: train.
    .addHelpText('after', () => {
      const options = train.createHelp();
      const lines = options.visibleOptions(train).map((option) => {
        const term = options.styleOptionTerm(options.optionTerm(option));
        return options.formatItem(term, 32, options.optionDescription(option), options);
      });
      return `\nOptions of train:\n${lines.join('\n')}\n${trainExamples}`;
    });
  for (const command of others) {
    sae.addCommand(command);
  }
  for (const command of [sae, train, ...others]) {
    command.exitOverride();
    command.configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'sae: ')) });
  }
  return sae;
}

/** Prints a failure in a sentence or two, and gives the exit status. A defect of ours shows where it happened. */
function report(error: unknown): number {
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? 0 : usageStatus;
  }
  if (error instanceof Interrupted) {
    return interruptedStatus;
  }
  const debug = process.env.DEBUG?.split(',').includes('sae');
  if (error instanceof EngineError && !debug) {
    process.stderr.write(`sae: ${error.message}\n`);
  } else if (debug) {
    process.stderr.write(`${(error as Error).stack}\n`);
  } else {
    process.stderr.write(
      `sae: ${(error as Error).message} This was not foreseen; DEBUG=sae shows where it happened.\n`,
    );
  }
  return error instanceof ConfigError ? usageStatus : failureStatus;
}

// `sae ... | head`: whoever read has gone, and nobody is left to be told anything.
process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
  if (code !== 'EPIPE') {
    process.stderr.write(`sae: Standard output cannot be written: ${message}.\n`);
  }
  process.exit(failureStatus);
});

try {
  await program().parseAsync(normalizeArguments(process.argv.slice(2)), { from: 'user' });
} catch (error) {
  process.exitCode = report(error);
}
