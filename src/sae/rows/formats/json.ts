import { grouped } from './array.js';
import { type Fail, readPart } from './bytes.js';
import { partsOf, type RowsFile } from './file.js';

/** The longest that is read: saev's metadata.json has a description of the data set in it. */
const longest = 64 * 2 ** 20;

/** What a file in JSON says. @param fail is called if it cannot be read. */
export async function readJson(file: RowsFile, fail: Fail): Promise<unknown> {
  if (file.bytes > longest) {
    fail(`it has ${grouped(file.bytes)} bytes, and at most ${grouped(longest)} were expected.`);
  }
  const bytes = await readPart(partsOf(file, fail), 0, file.bytes, fail);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    return fail('it is not JSON.', error);
  }
}
