import { expect, test } from 'vitest';
import { DataError, ModelFileError } from '../../../src/sae/errors.js';
import { Model } from '../../../src/sae/model/model.js';
import type { Parameters } from '../../../src/sae/model/parameter.js';
import { decodeModel, encodeModel, savedModel } from '../../../src/sae/model/saved-model.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { gpuOfFile } from '../../support/device.js';
import { byteRows, sameParameters } from '../../support/models.js';

const gpu = await gpuOfFile();
const sizes = { in_dims: 9, h_dims: [14], tied: true };
const dataset = byteRows(12, 9, 1);

/** The parameters with one weight of one of the two changed. */
function untied(parameters: Parameters): Parameters {
  const { shape, data } = parameters.get('decoder.0.weight')!;
  return new Map(parameters).set('decoder.0.weight', {
    shape,
    data: data.map((value, i) => (i === 77 ? value + 1 : value)),
  });
}

test('a trained model with tied weights is saved, read, and trained further as if it had never been', async () => {
  const model = await Model.create(gpu, sizes, 3);
  expect(model.parameterCount).toBe(14 * 9 + 14 + 9);
  const trainer = await Trainer.create(model, dataset, { batch_size: 5, lr: 0.01, epochs: 2 });
  for await (const _ of trainer.steps({ count: 4 }));
  const snapshot = await trainer.snapshot();
  const bytes = encodeModel(await savedModel(model, dataset, trainer.config));
  for await (const _ of trainer.steps({ count: 2 }));
  const after = await model.parameters();
  const read = decodeModel(bytes, 'sae.safetensors');
  expect(read.config).toEqual({ in_dims: 9, h_dims: [14], activation: 'relu', tied: true });
  expect([...read.parameters.keys()]).toEqual([...after.keys()]);
  expect(sameParameters(read.parameters, snapshot.parameters)).toBe(true);
  (await Model.from(gpu, read.config, read.parameters)).close();
  const resumed = await Trainer.resume(gpu, dataset, snapshot);
  for await (const _ of resumed.steps({ count: 2 }));
  expect(sameParameters(await resumed.model.parameters(), after)).toBe(true);
  resumed.close();
  resumed.model.close();
  trainer.close();
  model.close();
});

test('weights that are not tied are refused where they should be', async () => {
  const model = await Model.create(gpu, sizes, 3);
  const saved = await savedModel(model, dataset);
  const parameters = untied(saved.parameters);
  const sentence = 'decoder.0.weight is not the transpose of encoder.0.weight.';
  await expect(async () => Model.from(gpu, saved.config, parameters)).rejects.toThrow(
    new DataError(`The model is tied, and ${sentence}`),
  );
  expect(() => encodeModel({ ...saved, parameters })).toThrow(
    new DataError(`The model is tied, and ${sentence}`),
  );
  model.close();
  const file = encodeModel(saved);
  // The last tensor is the decoder's bias; before it a bit of the decoder's weight.
  file[file.length - 4 * 9 - 4] ^= 1;
  expect(() => decodeModel(file, 'broken.safetensors')).toThrow(
    new ModelFileError(
      `broken.safetensors is not a model that can be read: its weights are tied, and ${sentence}`,
    ),
  );
});
