import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { unaskedChange } from '../../src/cli/saved.js';
import {
  decodeModel,
  encodeModel,
  parseTrainConfig,
  readModelFile,
  type SavedModel,
  type SparsityName,
  type TrainOptions,
} from '../../src/node/index.js';
import { long } from '../support/long.js';
import '../support/compare.js';
import { decodeNpy } from '../support/npy.js';
import { bytes, npy, objects, readSafetensors, sae, succeeds, temporaryFolder } from './sae.js';

const folder = temporaryFolder();
const fixtures = fileURLToPath(new URL('../fixtures/formats/', import.meta.url));

describe('sae import', () => {
  const trained = ['dl_batchtopk', 'saelens_topk_inference', 'sparsify_topk'];

  // In short, those of which more is seen below: one of each program.
  const saved: [name: string, said: RegExp][] = [
    ['dl_standard_april', /^sae\.safetensors {2}12-40-12, relu, from dictionary_learning\n$/],
    ['dl_topk', /^sae\.safetensors {2}12-40-12, topk 4, from dictionary_learning\n$/],
    ['saelens_standard_inference', /relu, from SAELens 6\.39\.0\n$/],
    ['saelens_topk_inference', /topk 4, from SAELens 6\.39\.0\n$/],
    ['sparsify_topk', /topk 4, from sparsify\n$/],
    ['dl_jumprelu', /^sae\.safetensors {2}12-40-12, jumprelu, from dictionary_learning\n$/],
    ['dl_batchtopk', /^sae\.safetensors {2}12-40-12, batchtopk, from dictionary_learning\n$/],
    ['saelens_batchtopk_inference', /jumprelu, from SAELens 6\.39\.0\n$/],
    ['saelens_jumprelu_v649_inference', /jumprelu, from SAELens 6\.49\.2\n$/],
    ['gemma_scope_npz', /jumprelu, from Gemma Scope\n$/],
  ];
  it.each(long ? saved : saved.filter(([name]) => trained.includes(name) || name.startsWith('gemma')))(
    '%s: its codes are those of the program that saved it',
    async (name, said) => {
      const cwd = folder.make();
      const from = join(fixtures, name);
      const expected = JSON.parse(readFileSync(join(from, 'expected.json'), 'utf8'));
      expect(await succeeds(['import', from, '--out', 'sae.safetensors'], { cwd })).toMatch(said);
      const rows = join(from, 'x.npy');
      await succeeds(['encode', 'sae.safetensors', '--data', rows, '--out', 'codes.npy'], { cwd });
      const { shape, values } = decodeNpy(readFileSync(join(cwd, 'codes.npy')));
      expect(shape).toEqual(expected.encode.shape);
      expect(values).toBeCloseTensor(expected.encode.data, 2e-5);

      if (said.source.startsWith('jumprelu') || !(long || trained.includes(name))) {
        // What follows was seen with the first of this kind; in short, with one of each program.
        return;
      }
      // Trained on as what it is; exported and imported again, it is the same to the bit.
      const sparsity = /batchtopk|topk|jumprelu/.exec(said.source)?.[0] ?? 'l1';
      const rescaled = name === 'saelens_topk_inference';
      const kind = [
        ...['--sparsity', sparsity, ...(sparsity.endsWith('topk') ? ['--k', '4'] : [])],
        ...(rescaled ? ['--rescale_acts_by_decoder_norm'] : []),
      ];
      const train = [
        '--init',
        'sae.safetensors',
        '--data',
        rows,
        '--epochs',
        '1',
        '--no-save-plots',
        '--json',
        ...kind,
      ];
      const [epoch] = objects(await succeeds(train, { cwd })).filter((line) => 'epoch' in line);
      expect(epoch.mse).toBeLessThan(10);
      const to = name.startsWith('sparsify') ? 'sparsify' : 'saelens';
      await succeeds(['export', 'sae.safetensors', '--to', to, '--out', 'exported'], { cwd });
      await succeeds(['import', 'exported', '--out', 'again.safetensors'], { cwd });
      if (rescaled) {
        // Norms of directions that are nearly 1 are folded in.
        await succeeds(['encode', 'again.safetensors', '--data', rows, '--out', 'again.npy'], { cwd });
        const again = decodeNpy(readFileSync(join(cwd, 'again.npy'))).values;
        expect(again).toBeCloseTensor(values, 1e-6);
        return;
      }
      if (sparsity === 'batchtopk') {
        // As SAELens itself does: a threshold for each latent, all the same.
        const { tensors } = readSafetensors(join(cwd, 'again.safetensors'));
        expect(tensors['encoder.0.threshold']).toHaveLength(40);
        await succeeds(['encode', 'again.safetensors', '--data', rows, '--out', 'again.npy'], { cwd });
        expect(readFileSync(join(cwd, 'again.npy')).equals(readFileSync(join(cwd, 'codes.npy')))).toBe(true);
        return;
      }
      const [one, other] = ['sae', 'again'].map((file) => readFileSync(join(cwd, `${file}.safetensors`)));
      expect(other.equals(one)).toBe(true);
    },
  );

  it('what it cannot be, or is not, is refused, and nothing is written', async () => {
    const cwd = folder.make();
    const fails = async (args: string[], status: number, message: RegExp) => {
      const result = await sae(args, { cwd });
      expect([result.status, result.stdout]).toEqual([status, '']);
      expect(result.stderr).toMatch(message);
    };
    const out = ['--out', 'sae.safetensors'];
    await fails(['import', 'nowhere', ...out], 1, /^sae: There is no model nowhere\.\n$/);
    await fails(['import', cwd, ...out], 1, /it is of no program that is known: it has no file of weights/);
    await fails(['import', join(fixtures, 'dl_topk')], 2, /required option '--out <file>' not specified/);
    writeFileSync(join(cwd, 'mine.safetensors'), 'something else');
    await fails(
      ['import', join(fixtures, 'dl_topk'), '--out', 'mine.safetensors'],
      1,
      /was not made by this program/,
    );
    expect(readdirSync(cwd)).toEqual(['mine.safetensors']);
  });
});

describe('a model of another program, where one of this program is taken', () => {
  it.each([
    ['saelens_topk_inference', ''],
    ['openai_relu_tied', 'autoencoder.pt'],
  ])('%s is encoded, reconstructed and exported', async (name, file) => {
    const cwd = folder.make();
    const from = join(fixtures, name);
    const model = join(from, file);
    const expected = JSON.parse(readFileSync(join(from, 'expected.json'), 'utf8'));
    const rows = join(from, 'x.npy');
    for (const [command, what] of [
      ['encode', '40 latents'],
      ['reconstruct', '12 values'],
    ]) {
      const said = await succeeds([command, model, '--data', rows, '--out', 'out.npy'], { cwd });
      expect(said).toBe(`out.npy  16 rows of ${what}\n`);
      const { encode, decode } = expected;
      const { values } = decodeNpy(readFileSync(join(cwd, 'out.npy')));
      expect(values).toBeCloseTensor((command === 'encode' ? encode : decode).data, 2e-5);
    }
    await succeeds(['export', model, '--to', 'saelens', '--out', 'exported'], { cwd });
    const again = ['encode', 'exported', '--data', rows, '--out', 'out.npy'];
    await succeeds(again, { cwd });
    const { values } = decodeNpy(readFileSync(join(cwd, 'out.npy')));
    expect(values).toBeCloseTensor(expected.encode.data, 2e-5);
    const over = await sae([...again.slice(0, -1), 'exported/sae_weights.safetensors'], { cwd });
    expect([over.status, over.stderr]).toEqual([2, expect.stringMatching(/would be overwritten/)]);
  });

  it('is trained on and measured as what it is', async () => {
    const cwd = folder.make();
    const model = join(fixtures, 'dl_topk');
    const data = ['--data', join(fixtures, 'dl_topk', 'x.npy'), '--no-save-plots'];
    const said = await succeeds(['--init', model, ...data, '--epochs', '1'], { cwd });
    expect(said.slice(0, said.indexOf('parameters'))).toBe(
      'The model was trained with sparsity topk, k 4, and is now trained with kl; use --sparsity topk --k 4 to go on as before.\n',
    );
    const rescaled = join(fixtures, 'saelens_topk_inference');
    const others = [...data, '--epochs', '1', '--sparsity', 'topk', '--k', '4'];
    const without = await succeeds(['--init', rescaled, ...others], { cwd });
    expect(without.slice(0, without.indexOf('parameters'))).toBe(
      'The model selects latents by their values times the norms of their directions, and is now trained without that; use ' +
        '--rescale_acts_by_decoder_norm to go on as before.\n',
    );
    const unnamed = await succeeds(['--init', rescaled, ...data, '--epochs', '1'], { cwd });
    expect(unnamed).toContain(
      '; use --sparsity topk --k 4 --rescale_acts_by_decoder_norm to go on as before.',
    );
    const measured = ['--init', model, ...data, '--no-train', '--validation', data[1], '--json'];
    const { validation } = objects(await succeeds(measured, { cwd }))[0] as { validation: object };
    expect(validation).toMatchObject({ active: expect.closeTo(4, 1) });
    expect(validation).not.toHaveProperty('kl');
  });
});

describe('what training further would change although it was not asked to', () => {
  const said = (saved: SavedModel, options: TrainOptions<SparsityName>) =>
    unaskedChange(saved, parseTrainConfig<SparsityName>(options), new Set(Object.keys(options)));
  const asTopk =
    'The model was trained with sparsity topk, k 4, and is now trained with kl; use --sparsity topk --k 4 to go on as before.';

  it('the selection of a TopK model, read as another program saved it, and as this one did', async () => {
    const model = await readModelFile(join(fixtures, 'dl_topk'));
    const again = decodeModel(encodeModel(model), 'a file of this program');
    const { training: _, ...unrecorded } = again;
    for (const saved of [model, again, unrecorded]) {
      expect(said(saved, {})).toBe(asTopk);
      expect(said(saved, { sparsity: 'topk' })).toBe(
        'The model was trained to keep 4 latents a row, and is now trained to keep 8; use --k 4 to go on as before.',
      );
      expect(said(saved, { sparsity: 'topk', k: 4 })).toBeUndefined();
      expect(said(saved, { sparsity: 'topk', k: 5 })).toBeUndefined();
      expect(said(saved, { sparsity: 'l1' })).toBeUndefined();
    }
  });

  it('the penalty, where none is known', async () => {
    const model = await readModelFile(join(fixtures, 'dl_standard_april'));
    expect(said(model, {})).toBe(
      'How the model was trained is not known, and it is now trained with sparsity kl; --sparsity names another kind.',
    );
    expect(said(model, { sparsity: 'l1' })).toBeUndefined();
    expect(said(model, { sparsity: 'topk' })).toBeUndefined();
    expect(said({ ...model, training: { sparsity: 'kl' } }, {})).toBeUndefined();
  });
});

describe('sae export', () => {
  const rows = folder.write('rows.npy', npy([50, 16], bytes(800)));

  it('folds the normalisation of the rows in: codes and reconstructions of raw rows are the same', async () => {
    for (const more of [['--no-pre_bias'], ['--pre_bias']]) {
      const cwd = folder.make();
      const train = [
        '--data',
        rows,
        '--normalize',
        '0.3,0.5',
        '--h_dims',
        '24',
        '--epochs',
        '2',
        '--sparsity',
        'topk',
        '--k',
        '5',
      ];
      await succeeds([...train, ...more, '--save-model', '--no-save-plots'], { cwd });
      const file = 'files/sae.safetensors';
      await succeeds(['encode', file, '--data', rows, '--out', 'one.npy'], { cwd });
      await succeeds(['export', file, '--to', 'saelens', '--out', 'exported'], { cwd });
      expect(JSON.parse(readFileSync(join(cwd, 'exported/cfg.json'), 'utf8'))).toMatchObject({
        architecture: 'topk',
        k: 5,
        apply_b_dec_to_input: more[0] === '--pre_bias',
      });
      await succeeds(['import', 'exported', '--out', 'sae.safetensors'], { cwd });
      // 8-bit rows are fractions of 255.
      const raw = folder.write(
        'raw.npy',
        npy(
          [50, 16],
          Float32Array.from(bytes(800), (value) => value / 255),
        ),
      );
      await succeeds(['encode', 'sae.safetensors', '--data', raw, '--out', 'other.npy'], { cwd });
      const [one, other] = ['one', 'other'].map((name) => decodeNpy(readFileSync(join(cwd, `${name}.npy`))));
      expect(other.values).toBeCloseTensor(one.values, 1e-4);
      const { mean, std } = { mean: 0.3, std: 0.5 };
      const bias = (name: string) => readSafetensors(join(cwd, name)).tensors['decoder.0.bias'];
      expect(bias('sae.safetensors')).toBeCloseTensor(
        bias(file).map((value) => value * std + mean),
        1e-6,
      );
    }
  });

  it('a file that is there is refused; several layers and sigmoids are, but not as ONNX', async () => {
    const cwd = folder.make();
    const train = ['--data', rows, '--epochs', '1', '--save-model', '--no-save-plots', '--quiet'];
    const fails = async (message: RegExp) => {
      const result = await sae(['export', 'files/sae.safetensors', '--to', 'saelens', '--out', 'out'], {
        cwd,
      });
      expect([result.status, result.stdout]).toEqual([1, '']);
      expect(result.stderr).toMatch(message);
    };
    await succeeds([...train, '--h_dims', '[5, 4]'], { cwd });
    await fails(/has 2 encoder layers, and other programs' autoencoders have one\./);
    const onnx = ['export', 'files/sae.safetensors', '--to', 'onnx', '--out', 'onnx'];
    expect(await succeeds(onnx, { cwd })).toBe('onnx  model.onnx\n');
    const again = await sae(onnx, { cwd });
    expect([again.status, again.stderr]).toEqual([1, expect.stringMatching(/model\.onnx is there already,/)]);
    await succeeds([...train, '--h_dims', '5', '--activation', 'sigmoid'], { cwd });
    await fails(/has the activation sigmoid, and other programs have relu\./);
    await succeeds([...train, '--h_dims', '5'], { cwd });
    cpSync(rows, join(cwd, 'out', 'cfg.json'));
    await fails(/cfg\.json is there already, and is not replaced\. Choose another folder\./);
  });
});
