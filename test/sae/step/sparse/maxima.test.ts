import { expect, test } from 'vitest';
import { Scope } from '../../../../src/gpu/scope.js';
import { parseTrainConfig } from '../../../../src/sae/config.js';
import { addLayer } from '../../../../src/sae/model/forward.js';
import { Model } from '../../../../src/sae/model/model.js';
import { StepBuild } from '../../../../src/sae/step/build.js';
import {
  allocateMaxima,
  maximaOf,
  notingMaxima,
  takesMaxima,
} from '../../../../src/sae/step/sparse/maxima.js';
import { type MaximaLayout, maximaOfCode } from '../../../reference/maxima.js';
import { seededRandom } from '../../../reference/random.js';
import { familiesOf, gpuOfFile, reals, useFamily } from '../../../support/device.js';
import { plain } from '../../../support/models.js';

const gpu = await gpuOfFile();

test.each(familiesOf(gpu))('the encoder notes the maxima of its code, by the tiles of %s', async (family) => {
  useFamily(gpu, family);
  const random = seededRandom(11);
  for (const [rows, latents, k, activation] of [
    [5, 3, 1, 'relu'],
    [33, 131, 2, 'relu'],
    [70, 1030, 3, 'identity'],
  ] as const) {
    await Scope.during(async (scope) => {
      const config = parseTrainConfig<'topk'>({ ...plain, sparsity: 'topk', k, batch_size: rows });
      const model = scope.use(await Model.create(gpu, { in_dims: 9, h_dims: [latents] }));
      const build = new StepBuild(scope, model, config, rows, true, true, 1e4);
      build.makeTensor('batch', [rows, 9]);
      build.makeTensor('encoder.0.output', [rows, latents]);
      allocateMaxima(build);
      expect(takesMaxima(build)).toBe(gpu.software);
      const [layer] = model.layers;
      const weights = reals(random, 9 * latents, -1, 1);
      // Some pre-activations are -0, and a fifth of all vec4s have nothing above 0.
      weights.fill(-0, 0, 9 * Math.ceil(latents / 5));
      layer.weight.write(weights);
      layer.bias.write(reals(random, latents, -1, 0.5).fill(-0, 0, Math.ceil(latents / 5)));
      build.tensor('batch').write(reals(random, 9 * rows, -1, 1));
      const maxima = maximaOf(build);
      await addLayer(
        build.program,
        { ...layer, activation },
        build.tensor('batch'),
        build.code,
        notingMaxima(maxima),
      );
      await build.program.ready();
      build.program.submit();
      const layout = [...(maxima.maxima as Uint32Array)] as unknown as MaximaLayout;
      const expected = maximaOfCode(await build.code.read(), rows, layout);
      expect(expected.some((bits) => bits !== 0)).toBe(true);
      const noted = new Uint32Array(await gpu.read(build.buffer('code_maxima')));
      const real = 4 * layout[1] * rows;
      expect(noted.subarray(0, real)).toEqual(expected.subarray(0, real));
    });
  }
});
