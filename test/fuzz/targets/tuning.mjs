import { gemmTiles } from '../../../dist/gpu/gemm/candidates.js';
import { Tuner } from '../../../dist/gpu/gemm/tuner.js';

/** As much of a device as choosing a stored tile needs. */
const gpu = {
  name: 'a device',
  software: true,
  subgroupSize: 8,
  adapter: {
    info: { vendor: 'v', architecture: 'a', device: 'd', description: 'e' },
    limits: {},
    features: new Set(),
  },
  device: { limits: { maxComputeWorkgroupStorageSize: 16384, maxComputeInvocationsPerWorkgroup: 256 } },
  loadShader: async () => '',
};
const shape = { order: 'nt', rows: 64, columns: 20, depth: 784 };
const name = 'nt 64x20x784';
const shaders = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const candidates = gemmTiles(gpu, shape);

// The cache of tiles that were found fastest, and the tiles of a run that is to be repeated.
export default {
  seeds: () =>
    candidates.flatMap((tile) => {
      const tiles = { [name]: tile };
      return [{ 'v / a / d / e': { shaders, tiles } }, tiles].map((all) =>
        Buffer.from(JSON.stringify(all, null, 1)),
      );
    }),
  async read(input) {
    const store = { read: async () => input.toString(), write: async () => {} };
    const tile = await new Tuner(gpu, { store }).tile(shape);
    if (!candidates.some((one) => JSON.stringify(one) === JSON.stringify(tile)))
      throw new Error('No candidate.');
    let tiles;
    try {
      tiles = JSON.parse(input.toString());
    } catch {
      return;
    }
    if (typeof tiles === 'object' && tiles !== null) await new Tuner(gpu, { tune: 'off', tiles }).tile(shape);
  },
};
