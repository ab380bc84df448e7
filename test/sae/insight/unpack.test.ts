import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../../../src/sae/insight/report/pack.js';
import { unpackReport } from '../../../src/sae/insight/report/unpack.js';
import { type MadeOptions, makeReport, reportBytes } from '../../support/report.js';

const viewer = readFileSync(new URL('../../../dist/report/template.html', import.meta.url), 'utf8');
const classes: MadeOptions = { latents: [20, 12], images: 'grey', labels: 'classes', examples: 40 };

/** A report's HTML with the text of one of its blocks replaced. */
function withBlock(html: string, id: string, change: (text: string) => string): string {
  const changed = html.replace(new RegExp(`(id="${id}">)([^<]*)`), (_, start, text) => start + change(text));
  expect(changed).not.toBe(html);
  return changed;
}

const gzipped = (bytes: Uint8Array) => gzipSync(bytes).toString('base64');

describe('the data of a report’s file', () => {
  it.each<[string, MadeOptions]>([
    ['two models of images with classes', classes],
    [
      'a model of numbers with words, and nothing of its training',
      { latents: [9], labels: 'words', training: false },
    ],
    ['colours without labels', { latents: [5], images: 'colour', examples: 7 }],
    ['dead latents alone', { latents: [4], dead: 1 }],
  ])('are read back as they were: %s', async (_, options) => {
    const report = await makeReport(options);
    const html = String(await reportBytes(report));
    const { facts, blocks } = await unpackReport(html, 'report.html');
    expect(facts).toEqual(report.facts);
    expect(JSON.parse(blocks.get('facts')!)).toEqual(report.facts);
    for (const [id, text] of blocks)
      if (id !== 'facts') expect(html).toContain(`id="${id}">${text}</script>`);
    expect([...blocks.keys()].sort()).toEqual(
      [...html.matchAll(/<script type="application\/[^"]*" id="([^"]*)">/g)].map(([, id]) => id).sort(),
    );
  });

  describe('that somebody has changed', () => {
    let report: Report;
    let html: string;
    beforeAll(async () => {
      report = await makeReport(classes);
      html = String(await reportBytes(report));
    });
    const withFacts = (change: (facts: never) => void) =>
      withBlock(html, 'facts', (text) => {
        const facts = JSON.parse(text);
        change(facts as never);
        return JSON.stringify(facts);
      });
    /** The bytes of the first model, with a change. */
    const withModel = (change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array) => {
      const all = report.models[0].map(
        ({ values }) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
      );
      return withBlock(html, 'model-0', () => gzipped(change(new Uint8Array(Buffer.concat(all)))));
    };
    const offsetOf = (name: string) => {
      const at = report.models[0].findIndex((array) => array.name === name);
      return report.models[0].slice(0, at).reduce((sum, { values }) => sum + values.byteLength, 0);
    };
    const fact = (path: string) => new RegExp(`damaged: its fact ${path} is wrong `);

    const changed: [string, () => string, RegExp][] = [
      [
        'another page',
        () => '<!doctype html><p>Hello',
        /^report.html is a page by itself, and no report of this program/,
      ],
      ['the viewer alone', () => viewer, /its block facts is missing/],
      [
        'another version',
        () =>
          withFacts((facts: { layout: number }) => {
            facts.layout = 2;
          }),
        /another version of this program, of layout 2 where this one knows 1/,
      ],
      ['broken facts', () => withBlock(html, 'facts', (text) => text.slice(0, -9)), /its facts are no JSON/],
      ['facts that are null', () => withBlock(html, 'facts', () => 'null'), fact('of all')],
      [
        'an object in the place of a text',
        () =>
          withFacts((facts: { title: unknown }) => {
            facts.title = { html: 'b' };
          }),
        fact('title'),
      ],
      [
        'no models',
        () =>
          withFacts((facts: { models: unknown }) => {
            facts.models = [];
          }),
        fact('models'),
      ],
      [
        'latents that are not there',
        () =>
          withFacts((facts: { models: { latents: number }[] }) => {
            facts.models[0].latents = 21;
          }),
        /its array density of model-0 should be f32 \[21\]/,
      ],
      [
        'a huge array',
        () =>
          withFacts((facts: { models: { arrays: { shape: number[] }[] }[] }) => {
            facts.models[0].arrays[0].shape = [1e15];
          }),
        /its block model-0 would have [\d,]{20,} bytes/,
      ],
      [
        'pictures of another kind',
        () =>
          withFacts((facts: { rows: { pictures: { type: string } } }) => {
            facts.rows.pictures.type = 'image/svg+xml';
          }),
        fact('rows.pictures.type'),
      ],
      [
        'too few pictures',
        () =>
          withFacts((facts: { rows: { pictures: { sheets: unknown[] } } }) => {
            facts.rows.pictures.sheets = [];
          }),
        /some of its pictures are missing/,
      ],
      [
        'cut pictures',
        () => withBlock(html, 'sheets', (text) => text.slice(0, 400)),
        /some of its pictures are missing/,
      ],
      [
        'pictures that are no base64',
        () => withBlock(html, 'sheets', (text) => `${text}&lt;`),
        /its pictures are no base64/,
      ],
      ['no rows', () => html.replace('id="rows">', 'id="lines">'), /its block rows is missing/],
      [
        'an array that ends too early',
        () => withModel((bytes) => bytes.subarray(0, -4)),
        /its block model-0 ends too early/,
      ],
      [
        'an array that does not end',
        () => withModel((bytes) => Buffer.concat([bytes, Buffer.alloc(1e6)])),
        /its block model-0 is too long/,
      ],
      [
        'an example that is not there',
        () =>
          withModel((bytes) => {
            new Uint32Array(bytes.buffer)[offsetOf('example_rows') / 4] = 40;
            return bytes;
          }),
        /its array example_rows of model-0 names what is not there/,
      ],
      [
        'a latent of the other model that is not there',
        () =>
          withModel((bytes) => {
            new Uint32Array(bytes.buffer)[offsetOf('match_1_latents') / 4] = 12;
            return bytes;
          }),
        /its array match_1_latents of model-0 names what is not there/,
      ],
      [
        'what is not packed',
        () => withBlock(html, 'model-1', () => btoa('nothing of the kind')),
        /its block model-1 cannot be unpacked/,
      ],
      [
        'what is no base64',
        () => withBlock(html, 'model-1', () => '&amp;'),
        /its block model-1 cannot be unpacked/,
      ],
      [
        'too few labels',
        () => withBlock(html, 'labels', () => gzipped(Buffer.from('["7"]'))),
        /its labels should be 40 texts/,
      ],
      [
        'labels that are no texts',
        () => withBlock(html, 'labels', () => gzipped(Buffer.from('[{"html":"<b>"}]'))),
        /its labels should be 40 texts/,
      ],
    ];
    it.each(changed)('are refused: %s', async (_, make, sentence) => {
      await expect(unpackReport(make(), 'report.html')).rejects.toMatchObject({
        name: 'DataError',
        message: expect.stringMatching(sentence),
      });
    });

    it('are taken without what is none', async () => {
      const more = withFacts((facts: { script: string; models: { onclick: string }[] }) => {
        facts.script = 'alert(1)';
        facts.models[0].onclick = 'alert(1)';
      });
      const scripts =
        '<script id="facts">alert(1)</script><script type="application/json" id="more">1</script>';
      const { facts, blocks } = await unpackReport(
        more.replace('<script type', `${scripts}<script type`),
        'a',
      );
      expect(facts).toEqual(report.facts);
      expect([...blocks.values()].join()).not.toContain('alert');
      expect([...blocks.keys()]).toEqual(['facts', 'rows', 'model-0', 'model-1', 'labels', 'sheets']);
    });
  });
});
