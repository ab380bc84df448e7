import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { normalizeArguments } from '../../src/cli/arguments.js';
import { booleanNames, snakeCase } from '../../src/cli/options.js';
import { trainCommand } from '../../src/cli/train.js';
import type { SparsityName } from '../../src/sae/index.js';
import { long } from '../support/long.js';
import {
  bytes,
  figures,
  filesIn,
  npy,
  objects,
  readSafetensors,
  sae,
  succeeds,
  temporaryFolder,
  tensorsFile,
} from './sae.js';

const folder = temporaryFolder();
const rows = folder.write('rows.npy', npy([50, 16], bytes(800)));
const heldOut = folder.write('held-out.bin', bytes(480).reverse());
const labels = folder.write('labels.txt', 'row\n'.repeat(50));
const named = folder.write(
  'named.safetensors',
  tensorsFile({ other: [[2, 3], bytes(6)], rows: [[50, 16], bytes(800)] }),
);
const quick = ['--data', rows, '--h_dims', '2', '--epochs', '1'];
const model = 'sae.safetensors';

/** Every option of training but those of kinds of sparsity, none with its default where another does no harm. */
const common = {
  in_dims: '16',
  h_dims: '[4, 3]',
  activation: 'sigmoid',
  batch_size: '20',
  lr: '2e-3',
  lr_warmup: '2',
  lr_decay: 'linear',
  lr_decay_steps: '3',
  shuffle: 'False',
  dead_after: '5000',
  clip_norm: '100',
  optimizer: 'adam',
  adam_betas: '0.8,0.99',
  adam_eps: '1e-8',
  train: 'True',
  pre_bias: 'True',
  // Of two layers, weights cannot be.
  tied: 'False',
  decoder_norm: 'unit',
  save_model: 'True',
  save_plots: 'True',
  files_dir: 'my-files',
  animate: '1',
  watch: 'False',
  // There is none yet, so the run begins.
  resume: 'my-files',
  save_every: '3',
  on_divergence: 'rollback',
  step_metrics: 'steps.csv',
  epoch_metrics: 'epochs.jsonl',
  tensorboard: 'events',
  images_dir: 'my-images',
  dataset: 'auto',
  data: named,
  labels,
  tensor: 'rows',
  rows_type: 'u8',
  normalize: '0.4,0.3',
  window: '64MiB',
  nonfinite: 'skip',
  image_shape: '2,8',
  download_mnist: 'False',
  data_dir: 'cache',
  validation: heldOut,
  num_samples: '7',
  features: 'encoder',
  seed: '9',
  tune: 'off',
  quiet: 'False',
  json: 'True',
};

/** Those of each kind, with a length of the run, and what a saved model then says of them. */
const ofKinds = {
  kl: [
    {
      epochs: '2',
      sparsity_lambda: '0.05',
      sparsity_target: '0.1',
      sparsity_warmup: '4',
      reconstruction: 'sum',
    },
    { epochs: 2, sparsity_lambda: 0.05, sparsity_target: 0.1, sparsity_warmup: 4, reconstruction: 'sum' },
  ],
  l1: [
    {
      steps: '5',
      sparsity_lambda: '0.05',
      sparsity_warmup: '4',
      l1_weighted: 'False',
      reconstruction: 'mean',
    },
    {
      steps: 5,
      sparsity: 'l1',
      sparsity_lambda: 0.05,
      sparsity_warmup: 4,
      l1_weighted: false,
      reconstruction: 'mean',
    },
  ],
  topk: [
    {
      epochs: '2',
      activation: 'relu',
      k: '2',
      k_decay: '3',
      reconstruction: 'fvu',
      encoder_init: 'random',
      pre_bias_init: 'median',
      auxk_alpha: '0.1',
    },
    {
      epochs: 2,
      sparsity: 'topk',
      k: 2,
      k_decay: 3,
      reconstruction: 'fvu',
      encoder_init: 'random',
      pre_bias_init: 'median',
      auxk_alpha: 0.1,
    },
  ],
  matryoshka: [
    {
      epochs: '2',
      activation: 'relu',
      h_dims: '3',
      k: '1.5',
      matryoshka: '[1,2]',
      reconstruction: 'sum',
      revive: 'auxk',
      auxk_alpha: '0.1',
      auxk_loss: 'saelens',
      auxk_k: '3',
    },
    {
      epochs: 2,
      sparsity: 'matryoshka',
      k: 1.5,
      matryoshka: [1, 2],
      revive: 'auxk',
      auxk_alpha: 0.1,
      auxk_loss: 'saelens',
      auxk_k: 3,
    },
  ],
  batchtopk: [
    {
      epochs: '2',
      activation: 'relu',
      h_dims: '3',
      k: '1.5',
      rescale_acts_by_decoder_norm: 'True',
      reconstruction: 'sum',
    },
    { epochs: 2, sparsity: 'batchtopk', k: 1.5, rescale_acts_by_decoder_norm: true },
  ],
  jumprelu: [
    {
      epochs: '2',
      activation: 'relu',
      sparsity_lambda: '0.05',
      pre_act_lambda: '0.001',
      sparsity_warmup: '4',
      l0_loss: 'quadratic',
      l0_target: '2',
      bandwidth: '0.1',
      threshold_init: '0.02',
      reconstruction: 'sum',
    },
    {
      epochs: 2,
      sparsity: 'jumprelu',
      sparsity_lambda: 0.05,
      pre_act_lambda: 0.001,
      sparsity_warmup: 4,
      l0_loss: 'quadratic',
      l0_target: 2,
      bandwidth: 0.1,
      threshold_init: 0.02,
    },
  ],
  none: [
    {
      epochs: '2',
      h_dims: '3',
      reconstruction: 'mean',
      encoder_init: 'decoder_transpose',
      revive: 'resample',
      resample_every: '2',
    },
    {
      epochs: 2,
      sparsity: 'none',
      reconstruction: 'mean',
      encoder_init: 'decoder_transpose',
      revive: 'resample',
      resample_every: 2,
    },
  ],
} as const satisfies Record<SparsityName, unknown>;

/** What a saved model says of its selection. */
const selections: Readonly<Record<string, object>> = {
  topk: { selection: { topk: 2 } },
  batchtopk: { selection: { threshold: 'shared', rescale_acts_by_decoder_norm: true } },
  matryoshka: { selection: { threshold: 'shared' } },
  jumprelu: { selection: { threshold: 'each' } },
};

describe('names', () => {
  let adapter: string;
  /** A model to begin with, of either activation. */
  const init = (activation: string) => join(folder.path, activation, 'files', model);

  beforeAll(async () => {
    const [{ name }] = objects(await succeeds(['devices', '--json'], { cwd: folder.path }));
    adapter = String(name).slice(0, 8).toLowerCase();
    const data = ['--data', rows, '--normalize', common.normalize];
    for (const [name, activation, h_dims] of [
      ['relu', 'relu', common.h_dims],
      ['sigmoid', 'sigmoid', common.h_dims],
      ['one layer', 'relu', '3'],
    ]) {
      const shape = ['--h_dims', h_dims, '--activation', activation, '--pre_bias'];
      const cwd = join(folder.path, name);
      mkdirSync(cwd);
      await succeeds([...shape, ...data, '--epochs', '1', '--save-model', '--no-save-plots'], { cwd });
    }
  });

  it.each(Object.entries(ofKinds))(
    'every option works in snake_case and in kebab-case: %s',
    async (sparsity, [own, saved]) => {
      const values: Record<string, string | undefined> = {
        ...common,
        ...own,
        sparsity,
        // Of one kind, since each picture takes as long as all else.
        save_plots: sparsity === 'kl' ? 'True' : 'False',
        adapter,
        // Rows that are held out are named by validation.
        split: undefined,
        // With how a new model starts, a saved one is refused.
        init:
          'encoder_init' in own
            ? undefined
            : init('h_dims' in own ? 'one layer' : 'activation' in own ? own.activation : common.activation),
      };
      const options = trainCommand().options.map((option) => snakeCase(option.name()));
      const foreign = Object.values(ofKinds).flatMap(([others]) => Object.keys(others));
      expect(options.filter((option) => !(option in values || foreign.includes(option)))).toEqual([]);
      const given = options.filter((option) => values[option] !== undefined);
      const ways = [(text: string) => text, (text: string) => text.replaceAll('_', '-')];
      // What is common to all kinds is written in both ways for one of them.
      const runs = (long || sparsity === 'kl' ? ways : ways.slice(0, 1)).map(async (write) => {
        const cwd = folder.make();
        const args = given.flatMap((option) => [`--${write(option)}`, values[option]!]);
        const { status, stdout, stderr } = await sae(args, { cwd });
        const snapshot = join('my-files', 'snapshot.safetensors');
        expect([status, stderr]).toEqual([0, `There is no ${snapshot} yet, so the training begins.\n`]);
        const lines = objects(stdout).map(figures);
        const files = filesIn(cwd).map((file) => file.replace(/tfevents\..*/, 'tfevents'));
        expect(files).toEqual([
          'epochs.jsonl',
          join('events', 'events.out.tfevents'),
          // The report and its densities come with the pictures.
          ...(sparsity === 'kl'
            ? ['densities.safetensors', 'latents.csv', 'metrics.jsonl', 'report.html', 'run.json', model]
            : ['latents.csv', 'metrics.jsonl', 'run.json', model]
          ).map((file) => join('my-files', file)),
          snapshot,
          ...(sparsity === 'kl'
            ? ['features.png', 'features.webp', 'loss.png', 'plot.png']
            : ['features.webp']
          ).map((file) => join('my-images', file)),
          'steps.csv',
        ]);
        const { metadata, tensors } = readSafetensors(join(cwd, 'my-files', model));
        expect(JSON.parse(metadata.config)).toEqual({
          in_dims: 16,
          h_dims: JSON.parse(`[${values.h_dims}]`).flat(),
          activation: values.activation,
          pre_bias: true,
          ...selections[sparsity],
        });
        expect(JSON.parse(metadata.normalization)).toEqual({ mean: 0.4, std: 0.3 });
        expect(JSON.parse(metadata.image_shape)).toEqual([2, 8]);
        // The first layer's weights are in grey, what latents draw in colour.
        if (sparsity === 'kl') {
          const features = await sharp(join(cwd, 'my-images', 'features.png')).metadata();
          expect(features.space).toBe('b-w');
        }
        // Of the first version's kind, the later options are there that have not their default; of the others all.
        const trainedWith = {
          batch_size: 20,
          lr: 0.002,
          ...saved,
          seed: 9,
          shuffle: false,
          lr_warmup: 2,
          lr_decay: 'linear',
          lr_decay_steps: 3,
          decoder_norm: 'unit',
          dead_after: 5000,
          clip_norm: 100,
          adam_betas: [0.8, 0.99],
        };
        expect(JSON.parse(metadata.training)).toEqual(
          sparsity === 'kl' ? trainedWith : expect.objectContaining(trainedWith),
        );
        expect(lines.map((line) => Object.keys(line)[0])).toEqual([
          'first_step_seconds',
          'epoch',
          'epoch',
          'snapshot',
          'model',
          'validation',
          'latents',
          'pictures',
          ...(sparsity === 'kl' ? ['report'] : []),
        ]);
        return { lines, tensors };
      });
      const [snake, ...kebab] = await Promise.all(runs);
      for (const same of kebab) expect(same).toEqual(snake);
    },
  );

  it('a value may be joined with =, and the command may be left out or named', async () => {
    const runs = [
      ['train', `--data=${rows}`, '--h-dims=[2]', '--epochs=1'],
      quick,
      // One layer may be written without brackets.
      ['train', '--data', rows, '--h_dims', '[2]', '--epochs', '1'],
    ].map(async (args) =>
      objects(await succeeds([...args, '--json', '--no-save-plots'], { cwd: folder.make() })).map(figures),
    );
    const [joined, plain, named] = await Promise.all(runs);
    expect(joined).toEqual(plain);
    expect(named).toEqual(plain);
  });
});

describe('how the words of the command line are understood', () => {
  it.each([
    ['--save_model True', '--save-model=True'],
    ['--save-model', '--save-model=true'],
    ['--save_model --quiet', '--save-model=true --quiet=true'],
    ['--save_model=False --epochs 3', '--save-model=False --epochs 3'],
    ['--shuffle 0 --train 1', '--shuffle=0 --train=1'],
    ['--no-save-plots', '--save-plots=false'],
    ['--no-save_plots --no_shuffle', '--save-plots=false --shuffle=false'],
    ['reconstruct --download-mnist MODEL', 'reconstruct --download-mnist=true MODEL'],
    ['--download_mnist false MODEL', '--download-mnist=false MODEL'],
    ['--train maybe', '--train=true maybe'],
    ['--h_dims=[2] --in_dims 4', '--h-dims=[2] --in-dims 4'],
    ['--data my_file.npy', '--data my_file.npy'],
    ['--data=a_b=c_d.npy', '--data=a_b=c_d.npy'],
    ['-- --save_model', '-- --save_model'],
  ])('%s', (words, expected) => {
    expect(normalizeArguments(words.split(' '), booleanNames).join(' ')).toBe(expected);
  });
});

describe('booleans', () => {
  const always = ['metrics.jsonl', 'run.json'].map((file) => join('files', file));
  const saved = [...always, join('files', model)];
  it.each([
    [['--save_model', 'True', '--no-save-plots'], saved],
    [['--save-plots=0', '--save-model'], saved],
    [['--no-save_plots', '--save_model=False'], always],
    [['--save-plots', 'false', '--save-model', '--shuffle', '0'], saved],
  ])('%s', async (words, files) => {
    const cwd = folder.make();
    await succeeds([...quick, ...words], { cwd });
    expect(filesIn(cwd)).toEqual(files);
  });

  it('a word after one is no part of it unless it says yes or no', async () => {
    const cwd = folder.make();
    await succeeds([...quick, '--no-save-plots', '--save-model'], { cwd });
    const file = join(cwd, 'files', model);
    const args = ['reconstruct', '--download-mnist', file, '--data', rows, '--json'];
    expect(objects(await succeeds(args, { cwd }))).toHaveLength(2);
  });

  it.each([
    ['--save-model=maybe', 'sae: save_model must be True or False, and is "maybe".\n'],
    ['--shuffle=', 'sae: shuffle must be True or False, and is "".\n'],
    ['--json=2', 'sae: json must be True or False, and is "2".\n'],
  ])('%s is refused', async (word, stderr) => {
    expect(await sae([...quick, word], { cwd: folder.path })).toEqual({ status: 2, stdout: '', stderr });
  });
});
