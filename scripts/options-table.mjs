// The README's table of the options of `sae train`, made from the options themselves: `node scripts/options-table.mjs`
// writes it there, between its two marks. A test says where the README is behind.
import { readFileSync, writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';

const readme = fileURLToPath(new URL('../README.md', import.meta.url));
const marks = /(<!-- options: .*? -->\n)(.*?)(<!-- end of options -->)/s;

/** The table as it should be. */
export async function optionsTable() {
  const { trainCommand } = await import(new URL('../dist/cli/train.js', import.meta.url));
  const rows = trainCommand().options.map((option) => {
    // A second long name is where others have a short one.
    const names = [option.long, option.short].filter((name) => name?.startsWith('--'));
    const written = names.map((name) => `\`--${name.slice(2).replaceAll('-', '_')}\``).join(', ');
    return `| ${written} | ${defaultText(option)} | ${option.description.replaceAll('|', '\\|')} |`;
  });
  return ['', '| option | default | |', '| --- | --- | --- |', ...rows, '', ''].join('\n');
}

/** The table as the README has it. */
export function tableInReadme() {
  return marks.exec(readFileSync(readme, 'utf8'))?.[2];
}

function defaultText({ defaultValue, defaultValueDescription }) {
  if (defaultValue === undefined) {
    return '';
  }
  const small = typeof defaultValue === 'number' && defaultValue > 0 && defaultValue < 1e-3;
  return `\`${defaultValueDescription ?? (small ? defaultValue.toExponential() : defaultValue)}\``;
}

if (import.meta.url === pathToFileURL(argv[1]).href) {
  const table = await optionsTable();
  writeFileSync(
    readme,
    readFileSync(readme, 'utf8').replace(marks, (_, begin, _old, end) => begin + table + end),
  );
}
