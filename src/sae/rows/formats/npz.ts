import { DataError } from '../../errors.js';
import { longestHeader } from './array.js';
import type { Fail } from './bytes.js';
import { partsOf, type RowFormat } from './file.js';
import { openedArray } from './headed.js';
import { type NamedArray, pickArray, pickedNote } from './named.js';
import { type DescribedArray, describeNpy, npy } from './npy.js';
import { openZip, type ZipMember } from './zip.js';

/** An array in the archive. */
interface Member extends NamedArray {
  readonly member: ZipMember;
  readonly described: DescribedArray;
}

/** numpy.savez and savez_compressed: a ZIP archive of a .npy file an array. */
export const npz: RowFormat = {
  name: '.npz',
  article: 'a',
  endings: /\.npz$/i,
  named: true,
  // An empty archive has its directory alone.
  recognizes: ([p, k, a, b]) => p === 0x50 && k === 0x4b && ((a === 3 && b === 4) || (a === 5 && b === 6)),
  async open(file, options) {
    const { name } = file;
    const fail: Fail = (sentence, cause) => {
      throw new DataError(`${name} is not a .npz file that can be read: ${sentence}`, { cause });
    };
    const members = await openZip(partsOf(file, fail), fail);
    const arrays: Member[] = [];
    for (const [path, member] of members) {
      if (!path.endsWith('.npy')) continue;
      const head = await member.readStart(longestHeader);
      const described = npy.recognizes(head) ? describeNpy(head, `${name}, array ${path},`) : undefined;
      if (!described) return fail(`its part ${path} is not a .npy file with a whole header.`);
      const { element, descr, shape } = described;
      arrays.push({
        name: path.slice(0, -'.npy'.length),
        shape,
        type: element ?? descr,
        readable: element !== undefined,
        float: element?.includes('f') ?? false,
        member,
        described,
      });
    }
    if (arrays.length === 0) fail('it is a ZIP archive without arrays of numpy.savez.');
    const picked = pickArray(arrays, options.tensor, name);
    const { member, described } = picked;
    const { headerBytes, element, littleEndian, fortranOrder, shape } = described;
    const source = `${name}, array ${picked.name},`;
    const header = { element: element!, littleEndian, fortranOrder, shape, headerBytes };
    const stored = { bytes: member.length, packed: undefined };
    const opened = openedArray(source, header, stored, options, '.npy', {
      values: () => member.stream(headerBytes),
    });
    return { ...opened, notes: [...pickedNote(arrays, picked, options.tensor, name), ...opened.notes] };
  },
};
