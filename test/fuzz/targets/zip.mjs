import { DataError } from '../../../dist/sae/errors.js';
import { bytesInMemory } from '../../../dist/sae/model/formats/bytes.js';
import { openZip } from '../../../dist/sae/rows/formats/zip.js';
import { fixture } from '../files.mjs';

const fail = (sentence, cause) => {
  throw new DataError(`It cannot be read: ${sentence}`, { cause });
};

export default {
  seeds: () => fixture(['data/**/*.npz', 'rows/*.pt'], 2048),
  // Deflate's own factor; members may be any number of times the same bytes.
  multiple: 20_000,
  async read(input) {
    const members = await openZip(bytesInMemory(input), fail);
    let refused;
    for (const member of members.values()) {
      try {
        await member.place();
        await member.readStart(100);
        const whole = await member.read();
        let length = 0;
        for await (const piece of member.stream(0)) length += piece.length;
        if (length !== whole.length) throw new Error('A stream is cut.');
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
        refused = error;
      }
    }
    if (refused) throw refused;
  },
};
