import { Command, CommanderError } from 'commander';
import { ConfigError, EngineError } from '../node/index.js';
import { version } from '../node/version.js';
import { normalizeArguments } from './arguments.js';
import { benchCommand } from './bench.js';
import { exportCommand, importCommand } from './convert.js';
import { devicesCommand } from './devices.js';
import { encodeCommand } from './encode.js';
import { evalCommand } from './eval.js';
import { sweepCommand } from './fleet/sweep.js';
import { workerCommand } from './fleet/worker.js';
import { Interrupted, interrupt } from './interrupt.js';
import { booleanNames } from './options.js';
import { reconstructCommand } from './reconstruct.js';
import { reportCommand } from './report.js';
import { rowsCommand } from './rows.js';
import { synthCommand } from './synth.js';
import { trainCommand, trainExamples } from './train.js';

const usageStatus = 2;
const failureStatus = 1;

function program(): Command {
  const train = trainCommand();
  const others = [
    evalCommand(),
    reportCommand(),
    reconstructCommand(),
    encodeCommand(),
    rowsCommand(),
    importCommand(),
    exportCommand(),
    sweepCommand(),
    workerCommand(),
    synthCommand(),
    devicesCommand(),
    benchCommand(),
  ];
  const sae = new Command('sae')
    .description('Trains sparse autoencoders on WebGPU and shows what they learn.')
    .version(version)
    .addCommand(train, { isDefault: true })
    // `sae` alone trains, so its help shows the options of train.
    .addHelpText('after', () => {
      const options = train.createHelp();
      options.prepareContext({ helpWidth: process.stdout.columns });
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
    command.configureOutput({
      outputError: (text, write) => write(asTyped(text.replace(/^error: /, 'sae: '))),
    });
  }
  return sae;
}

/** The message with an unknown option as it was typed, not as `normalizeArguments` has made it. */
function asTyped(message: string): string {
  return message.replace(/(?<=unknown option ')(--[^'=]+)[^']*/, (option, name) => {
    const matches = (word: string) => {
      const kebab = word.split('=')[0].replaceAll('_', '-');
      return kebab === name || kebab === `--no-${name.slice(2)}`;
    };
    return process.argv.find(matches) ?? option;
  });
}

/** Prints a failure in one or two sentences, and returns the exit status. */
function report(error: unknown): number {
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? 0 : usageStatus;
  }
  if (error instanceof Interrupted) {
    return error.status;
  }
  const debug = process.env.DEBUG?.split(',').includes('sae');
  if (error instanceof EngineError && !debug) {
    process.stderr.write(`sae: ${error.message}\n`);
  } else if (debug) {
    process.stderr.write(`${(error as Error).stack}\n`);
  } else {
    process.stderr.write(
      `sae: Unexpected error: ${(error as Error).message} (Please report it; DEBUG=sae prints the stack trace.)\n`,
    );
  }
  return error instanceof ConfigError ? usageStatus : failureStatus;
}

/** Runs the command of this process, and sets its exit status. */
export async function run(): Promise<void> {
  // With `sae ... | head`, or when a terminal closes, nobody reads the output any more: training ends and is saved.
  let failed = false;
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code !== 'EPIPE' && code !== 'EIO' && !failed) {
      failed = true;
      process.stderr.write(`sae: Standard output cannot be written: ${message}.\n`);
    }
    if (!interrupt(failureStatus)) {
      process.exit(failureStatus);
    }
  });
  process.stderr.on('error', () => {});

  try {
    await program().parseAsync(normalizeArguments(process.argv.slice(2), booleanNames), { from: 'user' });
  } catch (error) {
    process.exitCode = report(error);
  }
}
