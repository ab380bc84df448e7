import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openDataset, readDataset } from '../../../src/node/data/read.js';
import { writeNpy } from '../../../src/node/data/write-dense.js';
import { DataError } from '../../../src/sae/errors.js';
import { rowsBetween, takeRows } from '../../../src/sae/rows/blocks.js';
import { type Dataset, pickRows, sliceRows } from '../../../src/sae/rows/dataset.js';
import { failure, temporaryFolder } from './folder.js';

const folder = temporaryFolder();
const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/labels/${name}`, import.meta.url));
/** What Python wrote into each of the files. */
const labels: string[] = JSON.parse(readFileSync(fixture('labels.json'), 'utf8'));

/** As many rows as are wanted, 0, 1, 2 ..., of one value each, with the labels of a file. */
async function labelled(file: string, rows: number): Promise<Dataset> {
  const data = join(folder.path, 'rows.npy');
  await writeNpy(data, [rows, 1], [Float32Array.from({ length: rows }, (_, row) => row)]);
  return readDataset(data, { labels: file });
}

const labelsOf = async (file: string, rows: number) => (await labelled(file, rows)).labels;

const refusal = (content: string | Uint8Array, name: string, rows = 2) =>
  failure(DataError, () => labelsOf(folder.write(name, content), rows));

describe('labels', () => {
  it.each(['labels.csv', 'labels.tsv', 'labels.jsonl'])('%s, as Python wrote it', async (name) => {
    expect(await labelsOf(fixture(name), labels.length)).toEqual(labels);
    const zipped = folder.write(`${name}.gz`, gzipSync(readFileSync(fixture(name))));
    expect(await labelsOf(zipped, labels.length)).toEqual(labels);
  });

  it.each([
    ['a.txt', 'one\ntwo, 2\n\n "four"\n'],
    ['with the line breaks of Windows.txt', 'one\r\ntwo, 2\r\n\r\n "four"\r\n'],
    ['with a mark of UTF-8.words', '\ufeffone\ntwo, 2\n\n "four"'],
  ])('lines of text as they are: %s', async (name, content) => {
    expect(await labelsOf(folder.write(name, content), 4)).toEqual(['one', 'two, 2', '', ' "four"']);
  });

  it('so many that they come in several pieces, with quoted line breaks across these', async () => {
    const many = Array.from({ length: 30_000 }, (_, i) => `${'line\n'.repeat(20)}${i}`);
    const table = `label\n${many.map((label) => `"${label}"`).join('\n')}\n`;
    expect(await labelsOf(folder.write('many.csv', table), many.length)).toEqual(many);
    const lines = many.map((label) => label.replaceAll('\n', ' '));
    expect(await labelsOf(folder.write('many.txt', lines.join('\n')), many.length)).toEqual(lines);
  });

  it.each([
    ['label\na; b\nc; d\n', ['a; b', 'c; d']],
    ['label\n"a, b"\n"c;\td"\n', ['a, b', 'c;\td']],
    ['"x,y";label\n1;a, b\n2;c, d, e\n', ['a, b', 'c, d, e']],
    ['label\n""\n\na\n', ['', 'a']],
    ['label\n"two\nlines"\n""\n', ['two\nlines', '']],
  ])('%j: delimiters within labels, and empty ones', async (content, labels) => {
    const file = folder.write('table.csv', content);
    expect((await labelled(file, labels.length)).labels).toEqual(labels);
  });

  it('stay with their rows where some are taken', async () => {
    const rows = await labelled(folder.write('four.txt', 'a\nb\nc\nd'), 4);
    expect(sliceRows(rows, 1, 3)).toMatchObject({ data: Float32Array.of(1, 2), labels: ['b', 'c'] });
    expect(pickRows(rows, [3, 0])).toMatchObject({ data: Float32Array.of(3, 0), labels: ['d', 'a'] });
    // The same where they are read from their file.
    const file = join(folder.path, 'rows.npy');
    const source = await openDataset(file, { labels: join(folder.path, 'four.txt'), most_memory: 0 });
    expect(source).toMatchObject({ type: 'f32', labels: ['a', 'b', 'c', 'd'] });
    expect(await rowsBetween(source, 1, 3)).toEqual(sliceRows(rows, 1, 3));
    expect(await takeRows(source, [3, 0, 3])).toEqual(pickRows(rows, [3, 0, 3]));
  });

  it.each([
    [
      'a\nb\nc',
      'three.txt',
      /three\.txt has 3 labels, and rows\.npy 2 rows; expected a label for each row\.$/,
    ],
    ['a\n', 'one.txt', /one\.txt has 1 label, and rows\.npy 2 rows/],
    ['label\na\n', 'one.csv', /one\.csv has 1 label, and rows\.npy 2 rows/],
    ['', 'empty.txt', /empty\.txt is empty; expected a file of labels\.$/],
    [
      Uint8Array.of(0x61, 0x0a, 0xff),
      'latin.txt',
      /latin\.txt is not text in UTF-8, at byte 0 .* expected labels/,
    ],
    [
      '"a"\n{"name": "b"}\n',
      'b.jsonl',
      /b\.jsonl, line 2, is \{"name":"b"\}; expected a label in quotes, or/,
    ],
    ['"a"\nnull\n', 'null.jsonl', /null\.jsonl, line 2, is null; expected/],
    ['"a"\n{"label": ["b"]}\n', 'list.jsonl', /list\.jsonl, line 2, is \{"label":of type Array\}; expected/],
    ['"a"\n\n', 'blank.jsonl', /blank\.jsonl, line 2, is no JSON: ""; expected/],
    [
      'word,id\na,1\nb,2\n',
      'word.csv',
      /word\.csv has no column label: its line 1 is "word, id"; .* end in \.txt\.$/,
    ],
    ['label\na\nb, c\n', 'comma.csv', /comma\.csv, line 3, has 2 fields; expected 1, as in .* in quotes\.$/],
    [
      'id,label\n1,a\n2\n',
      'short.csv',
      /short\.csv, line 3, has 1 field; expected 2, as in the line of names\. What has a /,
    ],
    [
      'label\na\n"b\n',
      'open.csv',
      /open\.csv, line \d, has a quote that does not end; expected labels as text\.$/,
    ],
  ])('%j is refused', async (content, name, sentence) => {
    expect(await refusal(content, name)).toMatch(sentence);
  });

  it('that are missing, or a folder', async () => {
    expect(await failure(DataError, () => labelsOf(join(folder.path, 'none.txt'), 2))).toMatch(
      /^There is no file \S*none\.txt\./,
    );
    expect(await failure(DataError, () => labelsOf(folder.path, 2))).toMatch(
      /is not a regular file; expected a file of labels on disk\.$/,
    );
  });
});
