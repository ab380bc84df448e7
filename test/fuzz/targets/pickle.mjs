import { ModelFileError } from '../../../dist/sae/errors.js';
import { readPickle } from '../../../dist/sae/rows/formats/pickle.js';
import { fixture } from '../files.mjs';

class Mention {}

/** What torch.save's files may name, with nothing behind it. */
const allowed = {
  calls: new Map([
    ['collections.OrderedDict', () => new Map()],
    ['torch._utils._rebuild_tensor_v2', () => new Mention()],
    ['torch._utils._rebuild_parameter', () => new Mention()],
  ]),
  constants: new Map([['torch.FloatStorage', new Mention()]]),
  persistent: () => new Mention(),
};

const fail = (sentence) => {
  throw new ModelFileError(`It cannot be read: ${sentence}`);
};

// Pickles lie in files of torch.save as they are.
export default {
  seeds: () =>
    fixture(['rows/**/*.{pt,pth}', 'formats/**/*.pt']).flatMap((bytes) => {
      const begin = bytes.indexOf(Buffer.from([0x80, 2]));
      const end = bytes.indexOf('PK', begin);
      return begin < 0 || end < 0 ? [] : [bytes.subarray(begin, end)];
    }),
  read(input) {
    const found = [readPickle(input, allowed, fail)];
    // A list may hold itself.
    const seen = new Set(found);
    for (const value of seen) {
      if (value === null || ['boolean', 'number', 'string'].includes(typeof value)) continue;
      if (value instanceof Map) for (const pair of value) for (const one of pair) seen.add(one);
      else if (Array.isArray(value)) for (const one of value) seen.add(one);
      else if (!(value instanceof Mention) && value?.constructor?.name !== 'Callable') {
        throw new Error(`It made ${value?.constructor?.name ?? typeof value}.`);
      }
    }
  },
};
