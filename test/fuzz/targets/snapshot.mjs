import { bytesInMemory } from '../../../dist/sae/model/formats/bytes.js';
import { checkSnapshot } from '../../../dist/sae/training/snapshot.js';
import { isOurSnapshot, readSnapshot } from '../../../dist/sae/training/snapshot-file.js';
import { fixture } from '../files.mjs';

export default {
  seeds: () => fixture(['snapshot/*.safetensors']),
  async read(input) {
    isOurSnapshot(input);
    const { snapshot } = await readSnapshot(bytesInMemory(input), 'snapshot.safetensors');
    checkSnapshot(snapshot);
  },
};
