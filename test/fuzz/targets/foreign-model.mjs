import { globSync } from 'tinyglobby';
import { bytesInMemory, importSae, isForeign } from '../../../dist/sae/model/formats/index.js';
import { modelOf } from '../../../dist/sae/model/imported-model.js';
import { fixtureFolder, unpack } from '../files.mjs';

export default {
  seeds: () =>
    globSync(['formats/*', 'formats/weights/*'], {
      cwd: new URL('../../fixtures', import.meta.url),
      onlyDirectories: true,
    }).map((name) => fixtureFolder(name, /^(?!expected|x\.npy)/)),
  longest: 8192,
  async read(input) {
    const files = new Map([...unpack(input)].map(([name, bytes]) => [name, bytesInMemory(bytes)]));
    for (const [name, file] of files) await isForeign(name, file, name).catch(() => {});
    modelOf(await importSae(files, 'model'));
  },
};
