import { EngineError } from '../../dist/gpu/errors.js';
import { limitMemory, memoryAsked } from './memory.mjs';
import { pathsOutside, watchPaths } from './paths.mjs';

/**
 * How one reader is fuzzed: a file of `targets` exports it.
 * @typedef {object} Target
 * @property {() => Buffer[]} seeds inputs to begin from, beside those in `corpus`.
 * @property {(input: Buffer) => unknown} read gives an input to the reader.
 * @property {number} [longest] bytes of an input, 4096 by default.
 * @property {number} [multiple] bytes of memory for each byte of an input beside `least`.
 * @property {(abstract new (...args: any[]) => Error)[]} [errors] what the reader may throw instead of an EngineError.
 */

/** What any file may take. Pieces of files, and tables of what unpacks them, are so large whatever the file is. */
const least = 2 ** 26;
/** What each byte may take beside that. */
const usual = 64;
/** What a terminal would obey. */
const unprintable = /[^\P{Cc}\n\t]/u;
/** Signs of a message. */
const longestMessage = 4000;

/** What a reader does and must not do. */
export class Fault extends Error {
  name = 'Fault';
}

/**
 * Gives an input to a reader, and looks at what it does.
 * @param {Target} target
 * @param {Buffer} input
 * @returns the error that the input was refused with; undefined where it was read.
 * @throws Fault for any other error than the project's own, a message that is none, more memory than is stated, paths outside the
 *   folder given, and changed prototypes.
 */
export async function check({ read, errors = [], multiple = usual }, input) {
  let refused;
  limitMemory(least + multiple * input.length);
  try {
    await read(input);
  } catch (error) {
    refused = error;
  }
  const { asked, exceeded } = memoryAsked();
  limitMemory(Number.POSITIVE_INFINITY);
  const outside = pathsOutside();
  watchPaths(undefined);
  if (exceeded) {
    throw new Fault(`${input.length} bytes asked for ${asked} of memory, or more.`, { cause: refused });
  }
  if (outside.length > 0) throw new Fault(`It asked for ${outside.join(', ')}.`, { cause: refused });
  const changed = [Object.prototype, Array.prototype].flatMap(Object.keys);
  if (changed.length > 0) throw new Fault(`Prototypes have ${changed.join(', ')}.`, { cause: refused });
  if (refused === undefined) return undefined;
  if (![EngineError, ...errors].some((own) => refused instanceof own)) {
    throw new Fault(`It threw ${refused?.name}: ${refused?.message}`, { cause: refused });
  }
  const { message } = refused;
  if (!/[.:!?]$/.test(message) || message.length > longestMessage || unprintable.test(message)) {
    throw new Fault(`Its message is ${JSON.stringify(message.slice(0, 1000))}.`, { cause: refused });
  }
  return refused;
}
