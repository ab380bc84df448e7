import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeModel } from '../../src/node/index.js';
import type { ReportFacts } from '../../src/sae/insight/report/layout.js';
import { long } from '../support/long.js';
import { bytes, filesIn, npy, objects, sae, succeeds, temporaryFolder } from './sae.js';

const folder = temporaryFolder();
const rows = folder.write('rows.npy', npy([60, 16], bytes(960)));
const labels = folder.write('labels.txt', Array.from({ length: 60 }, (_, i) => `<i>${i % 3}</i>\n`).join(''));
const [one, other] = ['one', 'other'].map((name) => join(folder.path, name, 'sae.safetensors'));

beforeAll(async () => {
  const training = ['--data', rows, '--save-model', '--epochs', '3', '--image_shape', '4,4'];
  const plots = ['--num_samples', '1', '--images-dir', join(folder.path, 'images')];
  await succeeds(
    [...training, ...plots, '--h_dims', '[40]', '--sparsity', 'topk', '--k', '4', '--files-dir', 'one'],
    {
      cwd: folder.path,
    },
  );
  await succeeds([...training, '--no-save-plots', '--files-dir', 'other', '--h_dims', '[6]'], {
    cwd: folder.path,
  });
});

const factsIn = (file: string): ReportFacts =>
  JSON.parse(
    /<script type="application\/json" id="facts">(.*?)<\/script>/s.exec(readFileSync(file, 'utf8'))?.[1] ??
      '',
  );

describe('sae report', () => {
  it('of two models tells their figures and trainings, and how to repeat them', async () => {
    const cwd = folder.make();
    const args = ['report', one, other, '--data', rows, '--labels', labels];
    expect(await succeeds([...args, '--out', 'both.html'], { cwd })).toBe('report    both.html\n');
    expect(filesIn(cwd)).toEqual(['both.html']);
    const facts = factsIn(join(cwd, 'both.html'));
    const [first, second] = facts.models;
    expect(facts).toMatchObject({
      title: `What ${one}, ${other} learned`,
      rows: { name: 'rows.npy', rows: 60, in_dims: 16, labelled: true },
      image_shape: [4, 4],
    });
    expect(facts.terms?.map(({ name }) => name)).toEqual(['<i>0</i>', '<i>1</i>', '<i>2</i>', '0', '1', '2']);
    const [evaluated] = objects(await succeeds(['eval', one, '--data', rows, '--json'], { cwd }));
    expect(first).toMatchObject({
      name: one,
      latents: 40,
      kind: 'topk',
      explained_variance: evaluated.explained_variance,
      l0: evaluated.active,
      dead: evaluated.dead,
      history: [1, 2, 3],
      directions: { width: 4, height: 4, channels: 1 },
    });
    expect(first.command).toMatch(
      /^sae --data \S+ --save-model .* --h_dims '\[40\]' --sparsity topk --k 4 --files-dir one$/,
    );
    expect(first.charts.map(({ name }) => name)).toEqual([
      'Loss',
      'Explained variance',
      'Active latents of a row (L0)',
      'Dead and dense latents',
    ]);
    expect(first.charts[0].curves[0].data.map(([epoch]) => epoch)).toEqual([1, 2, 3]);
    const known = new Map(first.facts);
    expect(known.get('trained on')).toBe('rows.npy, 60 rows');
    expect(known.get('options')).toContain('k 4');
    expect(known.get('trained')).toMatch(/^\d{4}-\d\d-\d\dT/);
    // The other one's training was not asked for its densities.
    expect(second).toMatchObject({ kind: 'kl', latents: 6 });
    expect(second.history).toBeUndefined();
    expect(second.arrays.map(({ name }) => name)).toContain('match_0_latents');
  });

  it('is what a training leaves, too', () => {
    const facts = factsIn(join(folder.path, 'one', 'report.html'));
    expect(facts.models).toMatchObject([{ kind: 'topk', history: [1, 2, 3], latents: 40 }]);
    expect(facts.models[0].command).toMatch(/^sae --data /);
  });

  it.runIf(long)(
    'knows nothing of the training of a model beside whose record it does not belong',
    async () => {
      const cwd = folder.make();
      cpSync(join(folder.path, 'one'), cwd, { recursive: true });
      // Another run with the same options, which saved no model, leaves its record there.
      const others = folder.write('others.npy', npy([50, 16], bytes(800)));
      const training = ['--data', others, '--epochs', '3', '--image_shape', '4,4', '--h_dims', '[40]'];
      const again = [...training, '--sparsity', 'topk', '--k', '4', '--no-save-plots', '--files-dir', '.'];
      await succeeds(again, { cwd });
      await succeeds(['report', 'sae.safetensors', '--data', rows, '--quiet'], { cwd });
      const [model] = factsIn(join(cwd, 'report.html')).models;
      expect(model).toMatchObject({ name: 'sae.safetensors', charts: [], kind: 'topk' });
      expect(model.command).toBeUndefined();
    },
  );

  it.runIf(long)('knows the densities of the last training only', async () => {
    const cwd = folder.make();
    const files = ['sae.safetensors', 'metrics.jsonl', 'run.json', 'densities.safetensors'];
    for (const name of files) writeFileSync(join(cwd, name), readFileSync(join(folder.path, 'one', name)));
    const history = async () => {
      await succeeds(['report', 'sae.safetensors', '--data', rows, '--quiet'], { cwd });
      return factsIn(join(cwd, 'report.html')).models[0].history;
    };
    expect(await history()).toEqual([1, 2, 3]);
    // As a later training leaves it that measured no densities.
    const run = JSON.parse(readFileSync(join(cwd, 'run.json'), 'utf8'));
    writeFileSync(join(cwd, 'run.json'), JSON.stringify({ ...run, date: '2026-01-01T00:00:00.000Z' }));
    expect(await history()).toBeUndefined();
    // Damaged, or of another program.
    writeFileSync(join(cwd, 'run.json'), JSON.stringify({ model: {}, training: {} }));
    expect(await history()).toBeUndefined();
  });

  it('is made of a model that is dead, and of one whose latents are active for one row', async () => {
    const cwd = folder.make();
    const data = Float32Array.from({ length: 32 }, (_, i) => (i % 16) / 16);
    const tensor = (shape: number[], values: ArrayLike<number>) => ({
      shape,
      data: Float32Array.from(values),
    });
    const save = (name: string, bias: number[]) => {
      const parameters = new Map([
        ['encoder.0.weight', tensor([2, 16], data)],
        ['encoder.0.bias', tensor([2], bias)],
        ['decoder.0.weight', tensor([16, 2], data)],
        ['decoder.0.bias', tensor([16], new Array(16).fill(0))],
      ]);
      const config = { in_dims: 16, h_dims: [2], activation: 'relu' as const };
      writeFileSync(join(cwd, name), encodeModel({ config, parameters }));
    };
    save('dead.safetensors', [-100, -100]);
    const values = bytes(960);
    const sums = Array.from({ length: 60 }, (_, row) =>
      data.subarray(0, 16).reduce((sum, weight, i) => sum + (weight * values[row * 16 + i]) / 255, 0),
    ).sort((a, b) => b - a);
    const between = -(sums[0] + sums[1]) / 2;
    save('single.safetensors', [between, -100]);
    const args = ['report', 'dead.safetensors', 'single.safetensors', '--data', rows, '--normalize', 'none'];
    await succeeds([...args, '--labels', labels], { cwd });
    const { models } = factsIn(join(cwd, 'report.html'));
    expect(models).toMatchObject([
      { dead: 2, l0: 0, kind: 'unknown' },
      { dead: 1, l0: 1 / 60 },
    ]);
  });

  it('writes what Neuronpedia imports', async () => {
    const cwd = folder.make();
    const place = join('exports', 'my-model', '3-topk');
    const args = ['report', one, '--data', rows, '--labels', labels, '--neuronpedia', place];
    const said = await succeeds(args, { cwd });
    expect(said).toBe(`report    report.html\nlatents   ${place}\n`);
    const lines = (file: string) => {
      const content = readFileSync(join(cwd, place, file));
      return objects((file.endsWith('.gz') ? gunzipSync(content) : content).toString());
    };
    expect(lines('source.jsonl')).toMatchObject([{ id: '3-topk', modelId: 'my-model', setName: 'topk' }]);
    expect(lines('sourceset.jsonl')).toMatchObject([
      { name: 'topk', releaseName: 'topk', modelId: 'my-model' },
    ]);
    expect(lines('release.jsonl')).toMatchObject([{ name: 'topk' }]);
    expect(lines('model.jsonl')).toMatchObject([{ id: 'my-model' }]);
    const features = lines(join('features', 'batch-0.jsonl.gz'));
    const activations = lines(join('activations', 'batch-0.jsonl.gz'));
    // The fields of Neuronpedia's own classes of latents and of their activations.
    expect(Object.keys(features[0]).sort()).toEqual(featureFields.split(' ').sort());
    expect(Object.keys(activations[0]).sort()).toEqual(activationFields.split(' ').sort());
    const [evaluated] = objects(await succeeds(['eval', one, '--data', rows, '--json'], { cwd }));
    const latents = evaluated.latents as { density: number; max: number; nearest: { latent: number } }[];
    expect(features).toHaveLength(40);
    for (const [latent, { density, max, nearest }] of latents.entries()) {
      const { frac_nonzero, maxActApprox, topkCosSimIndices, freq_hist_data_bar_heights } = features[latent];
      expect(frac_nonzero).toBeCloseTo(density, 6);
      expect(maxActApprox).toBeCloseTo(max, 5);
      expect((topkCosSimIndices as number[])[0]).toBe(nearest.latent);
      const active = (freq_hist_data_bar_heights as number[]).reduce((sum, count) => sum + count, 0);
      expect(active).toBe(Math.round(60 * density));
      const strongest = activations.find(({ index }) => index === String(latent));
      if (density > 0) {
        expect(strongest?.values).toEqual([maxActApprox]);
        expect(strongest?.tokens).toEqual([`<i>${Number(strongest?.dataIndex) % 3}</i>`]);
      } else expect(strongest).toBeUndefined();
    }
    // An export replaces an earlier one, and nothing else.
    expect((await sae([...args, '--quiet'], { cwd })).status).toBe(0);
  });

  it.runIf(long)('tells Neuronpedia bins of activations from the threshold on', async () => {
    const cwd = folder.make();
    const tensor = (...shape: number[]) => {
      const values = shape.reduce((all, side) => all * side, 1);
      return { shape, data: Float32Array.from({ length: values }, (_, i) => ((i * 7) % 5) / 4 - 0.5) };
    };
    const parameters = new Map([
      ['encoder.0.weight', tensor(2, 16)],
      ['encoder.0.bias', tensor(2)],
      ['decoder.0.weight', tensor(16, 2)],
      ['decoder.0.bias', tensor(16)],
    ]);
    const config = { in_dims: 16, h_dims: [2], activation: 'sigmoid' as const };
    writeFileSync(join(cwd, 'sigmoid.safetensors'), encodeModel({ config, parameters }));
    const place = join('exports', 'my-model', '0-kl');
    await succeeds(['report', 'sigmoid.safetensors', '--data', rows, '--neuronpedia', place], { cwd });
    const content = readFileSync(join(cwd, place, 'features', 'batch-0.jsonl.gz'));
    const [first] = objects(gunzipSync(content).toString());
    const [max, middles] = [first.maxActApprox as number, first.freq_hist_data_bar_values as number[]];
    expect(max).toBeGreaterThan(0.5);
    // The middles of 24 bins from 0.5, above which a sigmoid is active, to the largest activation.
    expect(middles[0]).toBeCloseTo(0.5 + (max - 0.5) / 48, 6);
    expect(middles[23]).toBeCloseTo(max - (max - 0.5) / 48, 6);
  });

  const featureFields =
    'modelId layer index creatorId createdAt maxActApprox hasVector vector vectorLabel vectorDefaultSteerStrength hookName ' +
    'topkCosSimIndices topkCosSimValues neuron_alignment_indices neuron_alignment_values neuron_alignment_l1 ' +
    'correlated_neurons_indices correlated_neurons_pearson correlated_neurons_l1 correlated_features_indices ' +
    'correlated_features_pearson correlated_features_l1 neg_str neg_values pos_str pos_values frac_nonzero ' +
    'freq_hist_data_bar_heights freq_hist_data_bar_values logits_hist_data_bar_heights logits_hist_data_bar_values ' +
    'decoder_weights_dist';
  const activationFields =
    'id tokens index layer modelId maxValue maxValueTokenIndex minValue values creatorId dataSource dataIndex dfaValues ' +
    'dfaTargetIndex dfaMaxValue createdAt lossValues logitContributions binMin binMax binContains qualifyingTokenIndex';
});

describe('sae report refuses', () => {
  const short = folder.write('short.npy', npy([60, 15], bytes(900)));
  const few = folder.write('few.txt', 'a\nb\n');

  it.each<[string, string[], number, RegExp]>([
    ['rows of another width', [one, '--data', short], 1, /15 values.*16/],
    ['labels of another length', [one, '--data', rows, '--labels', few], 1, /few\.txt.* 2 /],
    ['no model', [], 2, /missing required argument 'model'/],
    [
      'a folder that says nothing to Neuronpedia',
      [one, '--data', rows, '--neuronpedia', 'x'],
      2,
      /MODEL\/LAYER-SET/,
    ],
    [
      'two models for Neuronpedia',
      [one, other, '--data', rows, '--neuronpedia', 'a/1-b'],
      2,
      /takes one model/,
    ],
    [
      'a report of somebody else',
      [one, '--data', rows, '--out', 'mine.html'],
      1,
      /mine\.html was not made by this program/,
    ],
    [
      'files of somebody else',
      [one, '--data', rows, '--neuronpedia', 'a/2-mine'],
      1,
      /files of another program/,
    ],
  ])('%s', async (_, args, expected, why) => {
    const cwd = folder.make();
    writeFileSync(join(cwd, 'mine.html'), '<!doctype html>');
    mkdirSync(join(cwd, 'a', '2-mine'), { recursive: true });
    writeFileSync(join(cwd, 'a', '2-mine', 'notes.txt'), 'x');
    const before = filesIn(cwd);
    const { status, stdout, stderr } = await sae(['report', ...args], { cwd });
    expect([status, stdout]).toEqual([expected, '']);
    expect(stderr).toMatch(why);
    expect(filesIn(cwd)).toEqual(before);
  });

  it('models of different rows', async () => {
    const cwd = folder.make();
    const parameters = new Map([
      ['encoder.0.weight', { shape: [1, 15], data: new Float32Array(15) }],
      ['encoder.0.bias', { shape: [1], data: new Float32Array(1) }],
      ['decoder.0.weight', { shape: [15, 1], data: new Float32Array(15) }],
      ['decoder.0.bias', { shape: [15], data: new Float32Array(15) }],
    ]);
    const config = { in_dims: 15, h_dims: [1], activation: 'relu' as const };
    writeFileSync(join(cwd, 'narrow.safetensors'), encodeModel({ config, parameters }));
    const { status, stderr } = await sae(['report', one, 'narrow.safetensors', '--data', rows], { cwd });
    expect([status, stderr]).toEqual([
      2,
      `sae: ${one} takes rows of 16 values, and narrow.safetensors rows of 15. A report compares models of the same rows.\n`,
    ]);
  });
});
