import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { encodeModel, readModelFile } from '../../src/node/index.js';
import { long } from '../support/long.js';
import {
  bytes,
  filesIn,
  idx,
  npy,
  objects,
  type Result,
  sae,
  start,
  temporaryFolder,
  tensorsFile,
} from './sae.js';

const folder = temporaryFolder();
const rows = folder.write('rows.npy', npy([100, 16], bytes(1600)));
const arrowTable = fileURLToPath(new URL('../fixtures/tables/beside.arrow', import.meta.url));
const noRows = folder.write('values.bin', bytes(16));
const emptyFolder = folder.make();
const severalArrays = folder.write(
  'several.safetensors',
  tensorsFile({ a: [[2, 3], bytes(6)], b: [[4, 3], bytes(12)] }),
);
const table = folder.write('table.csv', 'name,id\na,1\n');
const wide = folder.write('wide.npy', npy([10, 17], bytes(170)));

const stack = /^\s+at .*:\d+:\d+\)?$/m;

/** Runs `sae` in an empty folder, where it must fail as `failure` says. */
async function fails(status: number, args: readonly string[], env?: Record<string, string>): Promise<string> {
  const cwd = folder.make();
  return failure(status, await sae(args, { cwd, ...(env && { env }) }), cwd);
}

/** What a run in an empty folder says that fails with one line of one or two sentences and leaves no file. */
function failure(status: number, result: Result, cwd: string): string {
  const said = result.stderr.replace(/^(Warning: |\s+at CheckVk).*\n+/gm, '');
  expect(said).toMatch(/^sae: [^\n]+\.\n$/);
  expect(said.match(/[.!?](?=\s)/g)?.length).toBeLessThanOrEqual(2);
  expect(said).not.toContain('Unexpected error');
  expect(result.stderr).not.toMatch(stack);
  // What was printed before is the header at most: no epoch.
  expect({ status: result.status, epochs: /epoch +1/.test(result.stdout), files: filesIn(cwd) }).toEqual({
    status,
    epochs: false,
    files: [],
  });
  return said;
}

describe('wrong usage', () => {
  const ofCommands: [string[], RegExp][] = [
    [['--bogus'], /unknown option '--bogus'/],
    [['--l1_coefficient', '3'], /unknown option '--l1_coefficient'/],
    [['reconstruct', 'model', '--no_such-thing=a_b'], /unknown option '--no_such-thing=a_b'/],
    [['--epoch', '3'], /Did you mean --epochs\?/],
    [['reconstruct', 'model', '--save_plots', 'no'], /unknown option '--save_plots'/],
    [['--h_dims', '4,', '3', '--epochs', '1'], /several words\. Put it in quotes: --h_dims "\[4, 3\]"/],
    [['--normalize=0.1,', '0.3'], /several words\. Put it in quotes: --normalize "0\.1,0\.3"/],
    [
      ['--no-shuffle', 'false'],
      /^sae: shuffle must be True or False, or stand alone, and is followed by "false"/,
    ],
    [['-x'], /unknown option '-x'/],
    [
      ['--dataset', 'mnist-10k', '--tensor', 'x'],
      /tensor names an array of data, and has no effect on data sets by name/,
    ],
    [
      ['--dataset', 'words-10k', '--labels', 'mine.txt'],
      /labels are those of the rows of data, and have no effect on data sets by name\. Leave mine\.txt out/,
    ],
    [['--validation', rows, '--rows_type', 'f3'], /Allowed choices are u8, i8, .*, f64\./],
    [
      ['--dataset', 'mnist-10k', '--rows_type', 'f32'],
      /rows_type is the type of raw data, and has no effect/,
    ],
    [
      ['--data', rows, '--rows_type', 'f32'],
      /rows_type is f32, .* all files here say what they hold\. Leave/,
    ],
    [
      ['--data', rows, '--tensor', 'x'],
      /tensor is x, which picks an array .* no file here does that\. Leave/,
    ],
    [['--data', noRows, '--rows_type', 'f32'], /nothing says how many a row has\. Name in_dims/],
    [
      ['--data', rows, wide],
      /data takes one path each time, and is followed by ".*wide\.npy" as well\. Repeat it/,
    ],
    [
      ['--step_metrics', 'steps.txt'],
      /step_metrics is steps\.txt; expected a file whose name ends in \.csv or \.jsonl/,
    ],
    [['--step_metrics', 'a.csv', '--epoch_metrics', 'a.csv'], /are both a\.csv\. Name two files/],
    [
      ['--no-train', '--init', 'x', '--tensorboard', 'runs'],
      /tensorboard is of a training, and train is False/,
    ],
    [['--animate', '0'], /animate must be a whole number of steps of at least 1, and is 0/],
    [['--no-train', '--init', 'x', '--animate', '5'], /animate is of a training, and train is False/],
    [['--watch', '--json'], /watch draws on the terminal, where json leaves no room for it\. Leave one out/],
    [['--watch', '--quiet'], /watch draws on the terminal, where quiet leaves no room/],
    [['--no-train', '--init', 'x', '--watch'], /watch is of a training, and train is False/],
    [['--no-train', '--init', 'x', '--resume'], /resume is of a training, and train is False/],
    [['--no-train', '--init', 'x', '--save_every', '9'], /save_every is of a training, and train is False/],
    [['reconstruct'], /missing required argument 'model'/],
    [['reconstruct', 'one', 'two'], /too many arguments/],
    [['encode', 'model'], /required option '--data <.*>' not specified/],
    [['--lr'], /option '--lr <x>' argument missing/],
    [['--dataset', 'cifar'], /Allowed choices are auto, mnist, mnist-10k, words-10k/],
    [['--features', 'both'], /Allowed choices are decoder, encoder/],
  ];
  const ofValues: [string[], RegExp][] = [
    [['frobnicate'], /"frobnicate" is not a command/],
    [['train', 'extra'], /"extra" is not a command/],
    [['--h_dims', '[]'], /^sae: h_dims must be a list .* \[256, 128, 64\], and is \[\]\.\n$/],
    [['--h_dims', '[20,]'], /h_dims must be a list .*, and is "\[20,\]"\./],
    [['--h_dims', 'abc'], /h_dims must be a list .*, and is "abc"\./],
    [['--h_dims', '[0]'], /each of h_dims must be a whole number of at least 1, and is 0\./],
    [['--h_dims', '[-3]'], /each of h_dims .*, and is -3\./],
    [['--h_dims', '[2.5]'], /each of h_dims .*, and is 2\.5\./],
    [['--lr', '0'], /lr must be a number above 0, and is 0\./],
    [['--lr', '-1'], /lr must be a number above 0, and is -1\./],
    [['--lr', 'nan'], /lr must be a number above 0, and is NaN\./],
    [['--sparsity_target', '0'], /sparsity_target must be a number between 0 and 0\.99, and is 0\./],
    [['--sparsity_target', '0.99'], /sparsity_target .* and is 0\.99\./],
    [['--sparsity_target', '-1'], /sparsity_target .* and is -1\./],
    [['--sparsity_target', '1.5'], /sparsity_target .* and is 1\.5\./],
    [['--batch_size', '0'], /batch_size must be a whole number of at least 1, and is 0\./],
    [['--epochs', '0'], /epochs must be a whole number of at least 1, and is 0\./],
    [
      ['--save_every', '0'],
      /save_every is "0"; expected so many steps, epochs or minutes, such as 1000, 2epochs or 10min, or never\./,
    ],
    [['--save_every', '1.5'], /save_every is "1\.5"; expected/],
    [['--save_every', '5 hours'], /save_every is "5 hours"; expected/],
    [['--epochs', '20', '--steps', '5'], /Both epochs and steps say how long to train\. Give one of them\./],
    [['--steps', '0'], /steps must be a whole number of at least 1, and is 0\./],
    [['--steps', '2.5'], /steps must be a whole number of at least 1, and is 2\.5\./],
    [['--lr_warmup', '-1'], /lr_warmup must be a whole number of at least 0, and is -1\./],
    [['--lr_warmup', '0.1'], /lr_warmup must be a whole number of at least 0, and is 0\.1\./],
    [['--lr_warmup', '6', '--steps', '5'], /lr_warmup is 6 steps, and the run has 5\./],
    // Of 100 rows: two steps an epoch.
    [['--lr_warmup', '7', '--epochs', '3'], /lr_warmup is 7 steps, and the run has 6\./],
    [['--lr_decay', 'slow'], /lr_decay must be none, linear or cosine, and is "slow"\./],
    [
      ['--lr_decay', 'linear', '--lr_decay_steps', '0'],
      /lr_decay_steps must be a whole number of at least 1/,
    ],
    [
      ['--lr_decay_steps', '5'],
      /lr_decay_steps is 5, and lr_decay is none\. Name a decay, linear or cosine, or/,
    ],
    [
      ['--lr_decay', 'cosine', '--lr_warmup', '3', '--lr_decay_steps', '4', '--epochs', '3'],
      /lr_warmup is 3 steps and lr_decay takes 4, and the run has 6\./,
    ],
    [['--sparsity_warmup', '-3'], /sparsity_warmup must be a whole number of at least 0, and is -3\./],
    [['--sparsity_warmup', '1.5'], /sparsity_warmup must be .*, and is 1\.5\./],
    [['--sparsity_warmup', '41'], /sparsity_warmup is 41 steps, and the run has 40\./],
    [
      ['--sparsity', 'none', '--sparsity_warmup', '3'],
      /sparsity_warmup is an option of sparsity kl, l1.*, and sparsity is none\. Leave it out\./,
    ],
    [['--num_samples', '0'], /num_samples must be a whole number of at least 1, and is 0\./],
    [
      ['--image_shape', '28'],
      /image_shape must be a height and a width in values, such as 28,28, or with colours 28,28,3, and is 28\./,
    ],
    [['--image_shape', '4,0'], /image_shape must be .*, and is 4,0\./],
    [['--image_shape', '2,8,1'], /image_shape must be .*, and is 2,8,1\./],
    [['--image_shape', '1.5,2'], /image_shape must be .*, and is 1\.5,2\./],
    [['--image_shape', '4x4'], /image_shape must be .*, and is \[4x4\]\./],
    [
      ['--image_shape', '5,4', '--data', rows],
      /^sae: image_shape 5,4 is that of 20 values, and the rows of \S*rows\.npy have 16\. Name a height and a width whose /,
    ],
    [['--seed', '-1'], /seed must be a whole number from 0 to 4294967295, and is -1\./],
    [['--activation', 'tanh'], /activation must be relu or sigmoid, and is "tanh"\./],
    [['--sparsity', 'dense'], /sparsity must be kl.* or .*, and is "dense"\./],
    [
      ['--sparsity', 'none', '--sparsity_target', '0.1'],
      /sparsity_target is an option of sparsity kl, and sparsity is none\./,
    ],
    [
      ['--sparsity', 'l1', '--sparsity_lambda', '-1'],
      /sparsity_lambda must be a number of at least 0, and is -1\./,
    ],
    [
      ['--sparsity', 'l1', '--sparsity_target', '0.1'],
      /sparsity_target is an option of sparsity kl, and sparsity is l1\./,
    ],
    [['--sparsity', 'l1', '--l1_weighted=2'], /l1_weighted must be True or False, and is "2"\./],
    [['--l1_weighted', 'False'], /l1_weighted is an option of sparsity l1, and sparsity is kl\./],
    [['--reconstruction', 'median'], /reconstruction must be mean, sum or fvu, and is "median"\./],
    [
      ['--encoder_init', 'transpose'],
      /encoder_init must be random or decoder_transpose, and is "transpose"\./,
    ],
    [
      ['--pre_bias', '--pre_bias_init', 'mode'],
      /pre_bias_init must be zero, mean or median, and is "mode"\./,
    ],
    [
      ['--pre_bias_init', 'median'],
      /pre_bias_init is median, and the model has no pre_bias\. Set pre_bias, or leave it out\./,
    ],
    [
      ['--tied', '--h_dims', '[8, 4]'],
      /Weights can be tied where there is one encoder layer, and h_dims is \[8,4\]\. Leave tied out, or use one layer\./,
    ],
    [['--sparsity', 'topk', '--k', '0'], /k must be a whole number of at least 1, and is 0\./],
    [['--sparsity', 'topk', '--k', '1.5'], /k must be a whole number of at least 1, and is 1\.5\./],
    [['--sparsity', 'topk', '--k', '21'], /k must be at most 20, the number of latents, and is 21\./],
    [['--sparsity', 'topk', '--k_decay', '-1'], /k_decay must be a whole number of at least 0, and is -1\./],
    [['--sparsity', 'topk', '--k_decay', '41'], /k_decay is 41 steps, and the run has 40\./],
    [
      ['--k_decay', '3'],
      /k_decay is an option of sparsity topk, batchtopk, matryoshka, and sparsity is kl\./,
    ],
    [['--k', '3'], /k is an option of sparsity topk, batchtopk, matryoshka, and sparsity is kl\./],
    [['--sparsity', 'batchtopk', '--k', '0'], /k must be a number above 0, and is 0\./],
    [
      ['--sparsity', 'batchtopk', '--k', '20.5'],
      /k must be at most 20, the number of latents, and is 20\.5\./,
    ],
    [
      ['--sparsity', 'batchtopk', '--k', '0.01'],
      /k is 0\.01 and batch_size 64: no latent would stay\. k \* batch_size must be at least 1\./,
    ],
    [
      ['--sparsity', 'jumprelu', '--threshold_init', '-0.1'],
      /threshold_init must be a number of at least 0, and is -0\.1\./,
    ],
    [
      ['--sparsity', 'jumprelu', '--bandwidth', '0'],
      /bandwidth must be a number from 1\.18e-38 .*, and is 0\./,
    ],
    [
      ['--sparsity', 'jumprelu', '--l0_loss', 'step'],
      /l0_loss must be linear, quadratic or tanh, and is "step"\./,
    ],
    [['--sparsity', 'jumprelu', '--l0_loss', 'quadratic'], /l0_loss quadratic needs l0_target/],
    [
      ['--sparsity', 'jumprelu', '--l0_target', '5'],
      /l0_target is an option of l0_loss quadratic, and l0_loss is tanh\. Leave it out\./,
    ],
    [
      ['--sparsity', 'jumprelu', '--l0_loss', 'quadratic', '--l0_target', '21'],
      /l0_target must be at most 20, the number of latents, and is 21\./,
    ],
    [
      ['--sparsity', 'jumprelu', '--pre_act_lambda', '-1'],
      /pre_act_lambda must be a number of at least 0, and is -1\./,
    ],
    [['--sparsity', 'topk', '--auxk_k', '0'], /auxk_k must be a whole number of at least 1, and is 0\./],
    [['--sparsity', 'topk', '--auxk_alpha', '-1'], /auxk_alpha must be a number of at least 0, and is -1\./],
    [
      ['--sparsity', 'topk', '--auxk_k', '4', '--revive', 'none'],
      /auxk_k is 4, and revive is none\. Set revive to auxk, or leave it out\./,
    ],
    [
      ['--sparsity', 'topk', '--revive', 'auxk', '--auxk_loss', 'saev'],
      /auxk_loss must be dictionary_learning, openai, saelens or sparsify, and is "saev"\./,
    ],
    [
      ['--sparsity', 'topk', '--k', '2', '--auxk_loss', 'openai', '--h_dims', '[8,4]'],
      /auxk_loss is openai, and revive is none\. Set revive to auxk, or leave it out\./,
    ],
    [
      ['--revive', 'auxk'],
      /revive auxk is for sparsity topk, batchtopk, matryoshka: .* with kl there are none\. Use resample\./,
    ],
    [['--revive', 'some'], /revive must be none, auxk or resample, and is "some"\./],
    [
      ['--resample_every', '5'],
      /resample_every is 5, and revive is none\. Set revive to resample, or leave it out\./,
    ],
    [
      ['--revive', 'resample', '--resample_every', '0'],
      /resample_every must be a whole number of at least 1, and is 0\./,
    ],
    [
      ['--revive', 'resample', '--h_dims', '[8,4]'],
      /revive resample needs a model with one hidden layer, .* Give h_dims one number\./,
    ],
    [
      ['--sparsity', 'topk', '--k', '2', '--revive', 'auxk', '--h_dims', '[8,4]'],
      /revive auxk needs a model with one hidden layer, .* Give h_dims one number\./,
    ],
    [
      ['--sparsity', 'topk', '--k', '2', '--rescale_acts_by_decoder_norm', '--h_dims', '[8,4]'],
      /rescale_acts_by_decoder_norm needs a model with one hidden layer: .* Give h_dims one number\./,
    ],
    [
      ['--sparsity', 'batchtopk', '--rescale_acts_by_decoder_norm', '--tied'],
      /rescale_acts_by_decoder_norm does not go with tied weights: .* Leave one out\./,
    ],
    [
      ['--rescale_acts_by_decoder_norm'],
      /rescale_acts_by_decoder_norm is an option of sparsity topk, batchtopk, matryoshka, and sparsity is kl\./,
    ],
    [
      ['--sparsity', 'matryoshka', '--h_dims', '[8,4]', '--k', '2'],
      /sparsity matryoshka needs a model with one hidden layer/,
    ],
    [
      ['--sparsity', 'matryoshka', '--tied'],
      /sparsity matryoshka does not go with tied weights: .* Leave one out\./,
    ],
    [
      ['--sparsity', 'matryoshka', '--matryoshka', '[4,4]'],
      /matryoshka must be a list of rising numbers of latents, such as \[256, 1024, 4096\], and is \[4,4\]\./,
    ],
    [
      ['--sparsity', 'matryoshka', '--matryoshka', '[4,40]'],
      /matryoshka has the width 40, and the model has 20 latents\. Leave out what is wider\./,
    ],
    [['--dead_after', '0'], /dead_after must be a whole number of at least 1, and is 0\./],
    [
      ['--sparsity', 'topk', '--activation', 'sigmoid'],
      /Only the latents of a ReLU can be selected: .* Use activation relu\./,
    ],
    [['--clip_norm', '0'], /clip_norm must be a number from 1\.18e-38 to 3\.4e38, .* and is 0\./],
    [['--clip_norm', '-2'], /clip_norm .* and is -2\./],
    [['--clip_norm', '1e39'], /clip_norm .* and is 1e\+39\./],
    [['--clip_norm', '1e-50'], /clip_norm .* and is 1e-50\./],
    [['--clip_norm', 'none'], /clip_norm .* and is NaN\./],
    [['--clip_norm', 'Infinity'], /clip_norm .* and is Infinity\./],
    [
      ['--adam_betas', '0.9'],
      /adam_betas must be two numbers of at least 0 and below 1, such as 0\.9,0\.999, and is \[0\.9\]\./,
    ],
    [['--adam_betas', '0.9,1'], /adam_betas must be two numbers .*, and is 1\./],
    [['--adam_betas', '[-0.1, 0.9]'], /adam_betas must be two numbers .*, and is -0\.1\./],
    [['--adam_betas', '0.9,0.99,0.9'], /adam_betas must be two numbers/],
    [['--adam_betas', 'slow'], /adam_betas must be two numbers .*, and is "\[slow\]"\./],
    [['--adam_eps', '0'], /adam_eps must be a number from 1\.18e-38 to 3\.4e38, .* and is 0\./],
    [['--adam_eps', '1e39'], /adam_eps .* and is 1e\+39\./],
    [['--adam_eps', '1e-40'], /adam_eps .* and is 1e-40\./],
    [['--split', '1'], /split must be a share of the rows between 0 and 1, such as 0\.05, and is 1\./],
    [['--split', 'some'], /split must be a share .* and is NaN\./],
    [
      ['--split', '0.1', '--validation', 'x.npy'],
      /Both split and validation say which rows are held out, 0\.1 and x\.npy\./,
    ],
    [['--nonfinite', 'keep'], /argument 'keep' is invalid\. Allowed choices are stop, skip\./],
    [['--window', 'half'], /window is "half"; expected a number of bytes, such as 500MB or 2GiB\./],
    [['--window', '0.1'], /window is "0\.1"; expected a number of bytes/],
    [
      ['--normalize', 'loud'],
      /normalize is "loud"; expected mnist, unit, rms, standardize, row, zca, none or two numbers/,
    ],
    [['--dataset', 'mnist'], /Both data and dataset say what to train on/],
  ];

  it.each(ofCommands)('%s', async (args, sentence) => {
    const { status, stdout, stderr } = await sae(args, { cwd: folder.make() });
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^sae: [^\n]+\n(\(.*\)\n)?$/);
    expect(stderr).toMatch(sentence);
  });

  it.each(ofValues)('%s', async (args, sentence) => {
    expect(await fails(2, [...args, '--data', rows, '--save-model'])).toMatch(sentence);
  });
});

describe('data', () => {
  const good = npy([10, 16], bytes(160));
  const withNaN = npy([2, 3], Float32Array.of(1, 2, 3, 4, Number.NaN, 6));
  const cases: [what: string, content: Uint8Array, sentence: RegExp][] = [
    ['empty', Buffer.alloc(0), /empty is empty/],
    [
      'truncated',
      good.subarray(0, -1),
      /truncated claims 10 rows of 16 .*, so 288 bytes, but ends at byte 287\. /,
    ],
    [
      'over-long',
      Buffer.concat([good, Buffer.alloc(1)]),
      /over-long claims .*, so 288 bytes, but goes on to byte 289\. /,
    ],
    ['mis-shaped', npy([160], bytes(160)), /mis-shaped has 1 dimension/],
    ['text', Buffer.from('1,2,3\n4,5,6\n'), /text .* expected /],
    ['not-finite', withNaN, /NaN at row 1, column 1 .*byte 144/],
    ['terabytes.npy', npy([1e9, 1e4], bytes(16)), /terabytes\.npy claims .* bytes, but ends at byte 144\. /],
    [
      'terabytes.idx',
      idx([2e9, 1000, 1000], bytes(16)),
      /terabytes\.idx claims .* bytes, but ends at byte 32\. /,
    ],
    ['terabytes.idx.gz', gzipSync(idx([2e9, 1000, 1000], bytes(16))), /terabytes\.idx\.gz /],
  ];
  it.each(cases)('%s', async (what, content, sentence) => {
    expect(await fails(1, ['--data', folder.write(what, content)])).toMatch(sentence);
  });

  it.each([
    ['that is missing', ['--data', 'nowhere.npy'], /There is no file nowhere\.npy/],
    ['of another scheme', ['--data', 's3://bucket/x.npy'], /s3 is neither https nor http\. Name a file/],
    [
      'that is a folder without rows',
      ['--data', emptyFolder],
      /is a folder without rows; expected a \.npy, .* or \.tsv file/,
    ],
    ['that no file matches', ['--data', join(emptyFolder, '*.npy')], /No file matches \S*\*\.npy\. Check/],
    ['of another width', ['--data', wide, '--in_dims', '16'], /17 values a row; expected 16/],
    ['held out, of another width', ['--data', rows, '--validation', wide], /17 values a row; expected 16/],
    [
      'of several arrays',
      ['--data', severalArrays],
      /several\.safetensors has 2 arrays that may be rows; there are a \(U8 \[2, 3\]\), b \(U8 \[4, 3\]\)\. Name one with tensor/,
    ],
    [
      'without such an array',
      ['--data', severalArrays, '--tensor', 'c*'],
      /has no array c\*; there are a \(U8/,
    ],
    [
      'of a table, by a column of texts',
      ['--data', arrowTable, '--column', 'texts'],
      /beside\.arrow has the column texts of type utf8; expected numbers/,
    ],
    [
      'with labels that are missing',
      ['--data', rows, '--labels', 'none.txt'],
      /There is no file none\.txt\./,
    ],
    [
      'with labels in a table without such a column',
      ['--data', rows, '--labels', table],
      /table\.csv has no column label: its line 1 is "name, id"; expected names there, one of which is label\./,
    ],
    ['words of another width', ['--dataset', 'words-10k', '--in_dims', '16'], /100 values a row/],
    ['digits of another width', ['--dataset', 'mnist-10k', '--in_dims', '16'], /784 values a row/],
  ])('%s', async (_, args, sentence) => {
    expect(await fails(1, args)).toMatch(sentence);
  });
});

it('data in several files: all that is wrong with their headers is said at once', async () => {
  const cwd = folder.make();
  const paths = [rows, 'nowhere.npy', wide, emptyFolder].flatMap((path) => ['--data', path]);
  const { status, stdout, stderr } = await sae(paths, { cwd });
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr.split('\n')).toEqual([
    'sae: Of 4 files, 3 cannot be read with the others, and nothing was read:',
    expect.stringMatching(/^ {2}\S+ is a folder without rows; /),
    '  There is no file nowhere.npy. Check its name and folder.',
    expect.stringMatching(/^ {2}\S*wide\.npy has 17 values a row; expected 16, as in \S*rows\.npy\.$/),
    '',
  ]);
});

describe('models', () => {
  const tensor = (shape: number[]) => {
    const data = Float32Array.from(bytes(shape.reduce((a, b) => a * b)), (byte) => byte / 500);
    return { shape, data };
  };
  const parameters = new Map([
    ['encoder.0.weight', tensor([2, 16])],
    ['encoder.0.bias', tensor([2])],
    ['decoder.0.weight', tensor([16, 2])],
    ['decoder.0.bias', tensor([16])],
  ]);
  const config = { in_dims: 16, h_dims: [2], activation: 'relu' as const };
  const good = Buffer.from(encodeModel({ config, parameters, training: { batch_size: 64 } }));
  const claims = (length: bigint) => {
    const copy = Buffer.from(good);
    copy.writeBigUInt64LE(length);
    return copy;
  };
  /** The same file with a piece of its header replaced by one as long. */
  const edited = (was: string, is: string) => {
    expect([good.includes(was), is.length]).toEqual([true, was.length]);
    return Buffer.from(good.toString('latin1').replace(was, is), 'latin1');
  };
  const withNaN = Buffer.from(good);
  withNaN.writeFloatLE(Number.NaN, good.length - 4);

  it('a good one is read', async () => {
    const file = folder.write('good', good);
    expect((await sae(['reconstruct', file, '--data', rows], { cwd: folder.make() })).status).toBe(0);
  });

  it.each([
    ['empty', Buffer.alloc(0), /it has 0 bytes/],
    ['short', good.subarray(0, 5), /it has 5 bytes/],
    [
      'truncated',
      good.subarray(0, -1),
      /decoder\.0\.bias ends at byte \d+, and the file at \d+: it is truncated/,
    ],
    ['over-long', Buffer.concat([good, Buffer.alloc(3)]), /3 bytes after its last tensor/],
    ['header-of-terabytes', claims(5_000_000_000_000n), /claims a header of 5000000000000 bytes/],
    ['header-beyond-numbers', claims(0xffffffffffffffffn), /claims a header of 18446744073709551615 bytes/],
    ['tensor-of-terabytes', edited('[2,16]', '[9e12]'), /encoder\.0\.weight \[9000000000000\] needs/],
    ['mis-shaped', edited('[16,2]', '[2,16]'), /decoder\.0\.weight is \[2, 16\], and \[16, 2\] was expected/],
    ['of-integers', edited('"F32"', '"I32"'), /of type "I32", and F32 was expected/],
    ['not-finite', withNaN, /decoder\.0\.bias has NaN at index 15/],
    ['without-json', edited('{"__meta', '["__meta'), /its header, from byte 8 on, is not JSON/],
    ['rows.npy', readFileSync(rows), /not a model/],
  ])('%s', async (what, content, sentence) => {
    const file = folder.write(`model-${what}`, content);
    const said = await fails(1, ['reconstruct', file, '--data', rows]);
    expect(said).toMatch(sentence);
    expect(said).toContain(file);
  });

  it('that is missing, for every command that reads one', async () => {
    const runs = [
      ['reconstruct', 'nowhere', '--data', rows],
      ['encode', 'nowhere', '--data', rows, '--out', 'out.npy'],
      ['--init', 'nowhere', '--data', rows],
    ];
    for (const said of await Promise.all(runs.map((args) => fails(1, args)))) {
      expect(said).toBe('sae: There is no model nowhere.\n');
    }
  });

  it('of another width than the rows', async () => {
    const args = ['encode', folder.write('good-too', good), '--data', wide, '--out', 'out.npy'];
    expect(await fails(1, args)).toMatch(/17 values a row; expected 16/);
  });
});

describe('places that cannot be written', () => {
  // Below a regular file nobody can make a folder, not even root.
  const below = join(rows, 'below');
  it.each([
    ['files_dir', ['--data', rows, '--files_dir', below], /the folder .*below: a part of its path is a file/],
    [
      'images_dir',
      ['--data', rows, '--images_dir', below],
      /the folder .*below: a part of its path is a file/,
    ],
    ['images_dir, a file', ['--data', rows, '--images_dir', rows], /there is a file of that name/],
  ])('%s', async (_, args, sentence) => {
    expect(await fails(1, args)).toMatch(sentence);
  });

  it.runIf(process.platform === 'linux')('a folder in /proc', async () => {
    expect(await fails(1, ['--data', rows, '--files_dir', '/proc/sae'])).toMatch(/the folder \/proc\/sae: /);
  });

  it('metrics.jsonl', async () => {
    const cwd = folder.make();
    mkdirSync(join(cwd, 'files', 'metrics.jsonl'), { recursive: true });
    const { status, stderr } = await sae(['--data', rows], { cwd });
    expect([status, stderr]).toEqual([
      1,
      `sae: ${join('files', 'metrics.jsonl')} cannot be written: it is a folder.\n`,
    ]);
  });
});

describe('adapters', () => {
  const none = { VK_DRIVER_FILES: '/nonexistent', VK_ICD_FILENAMES: '/nonexistent' };
  const without = [[['--data', rows]], [['devices']], [['--data', rows, '--adapter', 'llvmpipe']]];
  it.runIf(process.platform === 'linux').each(long ? without : without.slice(0, 2))(
    'none at all: %s',
    async (args) => {
      const said = await fails(1, args, none);
      expect(said).toMatch(
        /^sae: No WebGPU adapter was found\. .*install .*mesa-vulkan-drivers and libvulkan1/,
      );
    },
  );

  it('none of that name', async () => {
    const said = await fails(1, ['--data', rows, '--adapter', 'Voodoo']);
    expect(said).toMatch(/^sae: No adapter has "Voodoo" in its name\. There are: ".+"\.\n$/);
  });

  it('a model larger than its limits', async () => {
    const said = await fails(1, ['--data', rows, '--h_dims', '[1e9]']);
    expect(said).toMatch(
      /encoder\.0\.weight \[1000000000, 16\] needs 61,035\.2 MiB .* allows [\d,.]+ MiB\.\n$/,
    );
  });
});

describe('in mid-training', () => {
  it('a loss that stops being finite is named, and the last good model kept', async () => {
    const cwd = folder.make();
    const args = [
      '--data',
      rows,
      '--lr',
      '1e30',
      '--batch_size',
      '40',
      '--h_dims',
      '4',
      '--save-model',
      '--json',
    ];
    const { status, stdout, stderr } = await sae(args, { cwd });
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(
        /^sae: The loss stopped being finite in epoch 1 at step 2\. Training stopped there and the weights from before that step are kept; a smaller lr usually helps\. The largest parameter is then -?1\.00e\+30, in (en|de)coder\.0\.\w+\.\n$/,
      ),
    ]);
    const file = join('files', 'sae.safetensors');
    expect(objects(stdout)).toContainEqual({ model: file });
    const { config, parameters } = await readModelFile(join(cwd, file));
    expect(config.h_dims).toEqual([4]);
    for (const { data } of parameters.values()) {
      expect(data.every(Number.isFinite)).toBe(true);
    }
  });

  it('rows beyond f32 are named, not the learning rate, and nothing is saved where nothing was learned', async () => {
    const cwd = folder.make();
    const beyond = folder.write('large.npy', npy([5, 16], new Float32Array(80).fill(1e30)));
    const { status, stderr } = await sae(['--data', beyond, '--h_dims', '4', '--save-model'], { cwd });
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(
        /^sae: The loss stopped being finite in epoch 1 at step 1\. Training stopped there, before anything was learned: the rows, the weights that it began with, or the weight of the penalty are too large for f32\. Scale the rows down, for example with normalize unit\. The largest parameter is then -?0\.\d{3}, in (en|de)coder\.0\.weight\.\n$/,
      ),
    ]);
    expect(filesIn(cwd)).toEqual([]);
  });

  it('held-out rows beyond f32 are named at the end, once the model is saved', async () => {
    const cwd = folder.make();
    const values = new Float32Array(5 * 16).fill(0.5).fill(3e38, 3 * 16, 4 * 16);
    const held = folder.write('beyond.npy', npy([5, 16], values));
    const args = [
      '--data',
      rows,
      '--normalize',
      'none',
      '--validation',
      held,
      '--h_dims',
      '4',
      '--epochs',
      '1',
    ];
    const { status, stdout, stderr } = await sae(
      [...args, '--save-model', '--save-plots', 'False', '--json'],
      {
        cwd,
      },
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^sae: The loss of \S*beyond\.npy is not finite in rows 0 to 4 \(from 0\): [^\n]+\.\n$/,
    );
    expect(objects(stdout)).toContainEqual({ model: join('files', 'sae.safetensors') });
    expect(stdout).not.toContain('validation');
  });
});

describe('whoever reads the output', () => {
  it('may stop reading: no stack trace', async () => {
    const cwd = folder.make();
    const { child, ended } = start(['--help'], { cwd });
    child.stdout?.destroy();
    const { status, stderr } = await ended;
    expect([status, stderr]).toEqual([1, '']);
  });

  it('sees where a failure came from with DEBUG=sae only', async () => {
    const [plain, debug] = await Promise.all(
      ['other', 'other,sae'].map((DEBUG) =>
        sae(['--data', 'nowhere'], { cwd: folder.make(), env: { DEBUG } }),
      ),
    );
    expect([plain.status, plain.stderr]).toEqual([1, expect.not.stringMatching(stack)]);
    expect([debug.status, debug.stderr]).toEqual([1, expect.stringMatching(stack)]);
    expect(debug.stderr).toContain('There is no file nowhere.');
  });
});
