import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { drawModel } from '../../../src/node/pictures/results.js';
import { Model } from '../../../src/sae/model/model.js';
import type { Dataset } from '../../../src/sae/rows/dataset.js';
import { isActive } from '../../reference/activation.js';
import { drawings, forward, type ReferenceConfig, randomParameters } from '../../reference/autoencoder.js';
import { gatherRows } from '../../reference/gather.js';
import { seededRandom } from '../../reference/random.js';
import { gpuOfFile } from '../../support/device.js';
import { colourDifference, latentTiles } from '../../support/latent-tiles.js';
import { byteRows, floatRows, modelConfig, toParameters } from '../../support/models.js';
import { decode, temporaryFolder } from './helpers.js';

const gpu = await gpuOfFile();
const folder = temporaryFolder();
const image_shape = [3, 4] as const;
const size = 12;

const configs = (
  [
    ['one layer', { in_dims: size, h_dims: [7], activation: 'relu' }],
    ['three layers', { in_dims: size, h_dims: [9, 6, 5], activation: 'relu' }],
    ['sigmoid', { in_dims: size, h_dims: [9, 6, 5], activation: 'sigmoid' }],
  ] as const
).map(([name, config]): [string, ReferenceConfig] => [
  name,
  { ...config, sparsity_lambda: 0.2, sparsity_target: 0.05 },
]);

/** A random model whose latents 1 and 3 are never active; its weights are large, so that others are now and then. */
function modelOf(config: ReferenceConfig) {
  const parameters = randomParameters(config, seededRandom(5));
  for (const [name, { data }] of Object.entries(parameters)) {
    if (name.endsWith('weight')) data.set(data.map((value) => 4 * value));
  }
  const bias = parameters[`encoder.${2 * (config.h_dims.length - 1)}.bias`].data;
  bias[1] = bias[3] = -999;
  return parameters;
}

/** The share of rows that each latent is active for, after the reference. */
function densities(config: ReferenceConfig, parameters: ReturnType<typeof modelOf>, rows: Dataset): number[] {
  const all = Uint32Array.from({ length: rows.rows }, (_, i) => i);
  const x = gatherRows(rows.data, size, all, rows.normalization);
  const { hidden } = forward(config, parameters, x);
  const latents = hidden.length / rows.rows;
  return Array.from({ length: latents }, (_, latent) => {
    const active = [...all].filter((row) => isActive(config.activation, hidden[row * latents + latent]));
    return active.length / rows.rows;
  });
}

describe.each(configs)('features.png of a model: %s', async (name, config) => {
  test('has what the reference’s decoder makes of each latent, in the order of how often it is active', async () => {
    const parameters = modelOf(config);
    const model = await Model.from(gpu, modelConfig(config), toParameters(parameters));
    const rows = { ...byteRows(300, size, 3), image_shape };
    const images_dir = join(folder, name);
    const { files, skipped } = await drawModel(model, rows, { images_dir, num_samples: 2, seed: 1 });
    expect([files, skipped]).toEqual([
      ['plot.png', 'features.png'].map((file) => join(images_dir, file)),
      undefined,
    ]);
    const shares = densities(config, parameters, rows);
    const order = [...shares.keys()].sort((a, b) => shares[b] - shares[a] || a - b);
    expect(order.slice(-2)).toEqual([1, 3]);
    expect(order).not.toEqual(order.toSorted((a, b) => a - b));
    const drawn = drawings(config, parameters);
    const picture = await latentTiles(files[1], image_shape, shares.length);
    order.forEach((latent, tile) => {
      const own = drawn.subarray(latent * size, (latent + 1) * size);
      const colours = Array.from({ length: size }, (_, value) => picture.colour(tile, value));
      if (shares[latent] > 0) {
        expect(colourDifference(colours, own), `latent ${latent}`).toBeLessThan(2);
      } else {
        expect(colours.every(([red, green, blue]) => red === green && green === blue)).toBe(true);
      }
    });
    model.close();
  });
});

describe('one layer', () => {
  const [[, config]] = configs;
  const options = { num_samples: 2, seed: 1 };

  test('how often latents are active is measured on the rows that are given for it', async () => {
    const parameters = modelOf(config);
    // All but two are always active, and the last for positive values alone.
    const bias = parameters['encoder.0.bias'].data;
    bias.set([99, -999, 99, -999, 99, 99, 0]);
    parameters['encoder.0.weight'].data.fill(1, 6 * size);
    const model = await Model.from(gpu, modelConfig(config), toParameters(parameters));
    const shown = { ...floatRows(new Float32Array(3 * size).fill(1), size), image_shape };
    const measured_on = { ...floatRows(new Float32Array(5 * size).fill(-1), size), image_shape };
    const greyTiles = async (images_dir: string, also: object) => {
      const { files } = await drawModel(model, shown, { ...options, ...also, images_dir });
      const { colour } = await latentTiles(files[1], image_shape, 7);
      const isGrey = (tile: number) => {
        const [red, green, blue] = colour(tile, 1);
        return red === green && green === blue;
      };
      return Array.from({ length: 7 }, (_, tile) => isGrey(tile)).filter(Boolean).length;
    };
    const dead = (rows: Dataset) => densities(config, parameters, rows).filter((share) => share === 0).length;
    expect(await greyTiles(join(folder, 'shown'), {})).toBe(dead(shown));
    expect(await greyTiles(join(folder, 'measured'), { measured_on })).toBe(dead(measured_on));
    expect([dead(shown), dead(measured_on)]).toEqual([2, 3]);
    model.close();
  });

  test('floats without a shape are not drawn, even where they are a square; bytes are', async () => {
    const square = { ...config, in_dims: 9 };
    const model = await Model.create(gpu, modelConfig(square), 1);
    const images_dir = join(folder, 'floats');
    const { files, skipped } = await drawModel(model, floatRows(new Float32Array(18), 9), {
      ...options,
      images_dir,
    });
    expect(files).toEqual([]);
    expect(skipped).toMatch(
      /^It is not known whether rows of 9 values are images, .* pass --image_shape H,W with H /,
    );
    expect(existsSync(images_dir)).toBe(false);
    const bytes = await drawModel(model, byteRows(4, 9, 1), { ...options, images_dir, features: 'encoder' });
    expect(bytes.files).toHaveLength(2);
    // Grey, as it was before there was another kind.
    expect((await decode(bytes.files[1])).space).toBe('b-w');
    model.close();
  });
});
