import { describe, expect, test } from 'vitest';
import { readWords10k } from '../../src/node/data/words.js';
import { readSafetensors, temporaryFolder } from '../cli/sae.js';
import { builtPage, button, chromiumPath, saved, trained } from '../support/page.js';

describe.skipIf(!chromiumPath)('words on the page', () => {
  const { open } = builtPage();
  const folder = temporaryFolder();

  test('are typed, with suggestions; those nearest to the reconstruction follow the latents', async () => {
    const page = await open({ settings: 'dataset=words-10k&sparsity=none&h_dims=40&lr=0.01' });
    await button(page, 'One step').click();
    await trained(page, 1);
    const { data, labels } = await readWords10k();
    const words = labels!;
    const { tensors } = readSafetensors(folder.write('words.safetensors', await saved(page, 'Save model')));
    const vector = (row: number) => Array.from(data.subarray(100 * row, 100 * (row + 1)));
    const norm = (values: readonly number[]) => Math.hypot(...values);
    /** The nearest words to the reconstruction of one, with one latent set, in float64. */
    const nearest = (word: string, given?: readonly [latent: number, activation: number]) => {
      const x = vector(words.indexOf(word));
      const code = Array.from({ length: 40 }, (_, latent) =>
        Math.max(
          0,
          x.reduce(
            (sum, value, i) => sum + value * tensors['encoder.0.weight'][100 * latent + i],
            tensors['encoder.0.bias'][latent],
          ),
        ),
      );
      if (given) code[given[0]] = given[1];
      const output = x.map((_, i) =>
        code.reduce(
          (sum, value, latent) => sum + value * tensors['decoder.0.weight'][40 * i + latent],
          tensors['decoder.0.bias'][i],
        ),
      );
      const near = words
        .map((label, row) => {
          const other = vector(row);
          const product = other.reduce((sum, value, i) => sum + value * output[i], 0);
          return { label, cosine: product / (norm(other) * norm(output)) };
        })
        .sort((a, b) => b.cosine - a.cosine)
        .slice(0, 8)
        .map(({ label, cosine }) => `${label} ${cosine.toFixed(2)}`);
      return { near, code };
    };
    const shown = () =>
      page.locator('#nearest li:visible').evaluateAll((items) => items.map((item) => item.textContent));

    const field = page.getByRole('combobox', { name: 'Word', exact: true });
    expect(await field.inputValue()).toBe('the');
    await field.fill('pari');
    const suggested = await page
      .locator('#word-suggestions option')
      .evaluateAll((options) => options.map((option) => (option as HTMLOptionElement).value));
    const beginning = words.filter((word) => word.startsWith('pari'));
    expect(suggested.slice(0, beginning.length)).toEqual(beginning);
    expect(beginning).toContain('paris');
    await field.fill(' Paris');
    await field.press('Enter');
    const { near, code } = nearest('paris');
    await expect.poll(shown).toEqual(near);
    // The active latents, the most active first.
    const active = [...code.keys()].filter((latent) => code[latent] > 0).sort((a, b) => code[b] - code[a]);
    const bars = await page
      .locator('#latents input[type=range]')
      .evaluateAll((ranges) => ranges.map(({ ariaLabel }) => Number(/\d+/.exec(ariaLabel!)![0]) - 1));
    expect(bars.slice(0, active.length)).toEqual(active.slice(0, 30));

    const bar = page.getByRole('slider', { name: /^Activation of latent/ }).first();
    await bar.press('End');
    const most = Number(await bar.inputValue());
    await expect.poll(shown).toEqual(nearest('paris', [active[0], most]).near);
    expect(nearest('paris', [active[0], most]).near).not.toEqual(near);
    await button(page, 'Undo changes').click();
    await expect.poll(shown).toEqual(near);

    await field.fill('<b>qqq');
    await field.press('Enter');
    await page.getByText('“<b>qqq” is none of the 10,000 words.').waitFor();
    await expect.poll(shown).toEqual(near);
    await button(page, 'One from the data').click();
    await expect.poll(() => field.inputValue()).not.toBe('<b>qqq');
    // Each sample is above the word nearest to its reconstruction.
    const samples = await page
      .locator('#samples figure:visible')
      .evaluateAll((figures) =>
        figures.map((figure) => [
          figure.querySelector('figcaption')!.textContent!,
          figure.querySelector('p')!.textContent!,
        ]),
      );
    expect(samples).toEqual(samples.map(([word]) => [word, nearest(word).near[0]]));
  });
});
