import { Command, Option } from 'commander';
import {
  ConfigError,
  closePipes,
  type DecodeOptions,
  type FileOfRows,
  type Histogram,
  isPipe,
  openFiles,
  pipedFile,
  type RowFiles,
  type RowPlace,
  type RowsSummary,
  summarizeRows,
} from '../node/index.js';
import { parseNumber, valuesOf } from './arguments.js';
import { interruptible } from './interrupt.js';
import * as options from './options.js';
import { count, Reporter, type ReporterOptions, short } from './reporter.js';

/** Files that are listed one by one, at most. */
const mostListed = 20;
/** Columns of a picture where there is room. */
const widest = 60;

type RowsValues = ReporterOptions & Pick<DecodeOptions, 'in_dims' | 'image_shape' | 'tensor' | 'rows_type'>;

/** `sae rows`. */
export function rowsCommand(): Command {
  const command = new Command('rows')
    .description('tell what is in files of rows: their values, copies, and how long rows are')
    .argument('<paths...>', 'files, folders of files, quoted patterns and -, as --data takes them')
    .addOption(options.tensorOption)
    .addOption(options.rowsTypeOption)
    .addOption(
      new Option('--in-dims <n>', 'values a row (default: what the files say)').argParser(parseNumber),
    )
    .addOption(options.imageShapeOption)
    .addOption(options.quietOption)
    .addOption(options.jsonOption);
  return command.action(async (paths: string[]) => {
    try {
      await rows(paths, valuesOf<RowsValues>(command).values);
    } finally {
      closePipes();
    }
  });
}

async function rows(paths: readonly string[], values: RowsValues): Promise<void> {
  const { in_dims, image_shape, tensor, rows_type } = values;
  if (in_dims !== undefined && !(Number.isSafeInteger(in_dims) && in_dims >= 1)) {
    throw new ConfigError(`in_dims must be a whole number of at least 1, and is ${in_dims}.`);
  }
  options.checkImageShape(image_shape);
  const reporter = new Reporter(values);
  const signal = interruptible(reporter, 'rows');
  const reading = { in_dims, image_shape, tensor, rows_type, nonfinite: 'keep' } as const;
  const onNote = (note: string) => reporter.warn(note);
  const files = paths.some(isPipe)
    ? await pipedFile(paths, reading)
    : await openFiles(paths, { ...reading, onNote, signal });
  printFiles(files, reporter);
  if (files.rows !== undefined) reporter.startBar(files.rows, 'rows');
  const onRows = (done: number) => reporter.updateBar(done, 'rows', count(done));
  const summary = await summarizeRows(files, { onRows, signal }).finally(() => reporter.stopBar());
  printSummary(files, summary, reporter);
  const { image_shape: shape } = files;
  reporter.json({
    files: files.files.map((file) => {
      const { format, packed, element, rows } = file;
      return {
        file: nameOf(file),
        format,
        ...(packed && { packed }),
        type: element,
        ...(rows !== undefined && { rows }),
      };
    }),
    in_dims: files.in_dims,
    ...(shape && { image_shape: shape }),
    ...summary,
  });
}

type Described = Pick<RowFiles, 'files' | 'rows' | 'in_dims' | 'type' | 'image_shape'>;

function printFiles({ files, in_dims, image_shape }: Described, reporter: Reporter): void {
  const what = (s: string) =>
    image_shape ? `image${s} of ${image_shape.join(' x ')}` : `row${s} of ${count(in_dims)}`;
  for (const file of files.slice(0, mostListed)) {
    const { rows } = file;
    const many =
      rows === undefined ? `any number of ${what('s')}` : `${count(rows)} ${what(rows === 1 ? '' : 's')}`;
    reporter.line(`${nameOf(file)}  ${many}, ${typeInWords(file)}`);
  }
  if (files.length > mostListed) reporter.line(`and ${count(files.length - mostListed)} more files`);
}

/** Without the comma after what says where the rows are in it. */
function nameOf({ file }: { readonly file: string }): string {
  return file.replace(/,$/, '');
}

function typeInWords({ format, packed, element }: FileOfRows): string {
  return `${element === 'text' ? '' : `${element}, `}${format}${packed ? `, ${packed}` : ''}`;
}

function printSummary(files: Described, summary: RowsSummary, reporter: Reporter): void {
  const { values, nonfinite, duplicates, norms } = summary;
  const line = (label: string, text: string) => reporter.line(`${label.padEnd(10)}  ${text}`);
  const many = files.files.length > 1 || files.rows === undefined;
  if (many) line('rows', count(summary.rows));
  if (files.type === 'u8') line('units', '8-bit values are divided by 255, as models get them');
  if (values) {
    const { min, max, mean, std, zeros, inputs } = values;
    line('values', `${short(min)} to ${short(max)}, mean ${short(mean)}, standard deviation ${short(std)}`);
    line('zeros', percent(zeros));
    const unit = std > 0 ? '; --normalize unit makes that 0 and 1' : '';
    line(
      'normalize',
      `by default, models get mean ${short(inputs.mean)} and standard deviation ${short(inputs.std)}${unit}`,
    );
  }
  const place = (one: RowPlace) => `row ${one.row}${files.files.length > 1 ? ` of ${nameOf(one)}` : ''}`;
  line('non-finite', nonfiniteInWords(nonfinite, place));
  line('copies', copiesInWords(duplicates, summary.rows, place));
  if (norms) {
    const { min, max, mean, median, zero } = norms;
    const none = zero > 0 ? `; ${count(zero)} of norm 0` : '';
    line('norms', `${short(min)} to ${short(max)}, mean ${short(mean)}, median ${short(median)}${none}`);
    for (const bar of barsOf(norms.histogram)) reporter.line(bar);
  }
}

type Place = (place: RowPlace) => string;

function nonfiniteInWords({ values, rows, first }: RowsSummary['nonfinite'], place: Place): string {
  if (values === 0) return 'none';
  const some = first.map((one) => `${one.value} at ${place(one)}, column ${one.column}`);
  return (
    `${count(values)} ${values === 1 ? 'value' : 'values'} in ${count(rows)} ${rows === 1 ? 'row' : 'rows'}, left out of the other ` +
    `figures: ${some.join('; ')}${values > some.length ? '; ...' : ''} (from 0)`
  );
}

function copiesInWords(
  { rows, sampled, noticed, first }: RowsSummary['duplicates'],
  all: number,
  place: Place,
): string {
  const [one] = first;
  const example = one ? `: ${place(one)} is ${place(one.of)} (from 0)` : '';
  const many = (number: number) => (number === 0 ? 'none' : count(number));
  const found =
    sampled === all
      ? `${many(rows)} among ${count(all)} rows`
      : `${many(noticed)} noticed; ${many(rows)} among ${count(sampled)} sampled rows, each of which is sampled with its copies`;
  return found + example;
}

/** Eighths of a column. */
const blocks = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** A histogram as lines: where a bin begins, how many there are, and a bar. */
function barsOf({ edges, counts, below, above }: Histogram): string[] {
  const bins = [
    ...(below > 0 ? [[`below ${short(edges[0])}`, below] as const] : []),
    ...counts.map((rows, i) => [short(edges[i]), rows] as const),
    ...(above > 0 ? [[`above ${short(edges[counts.length])}`, above] as const] : []),
  ];
  const most = Math.max(...bins.map(([, rows]) => rows));
  const [labels, numbers] = [bins.map(([label]) => label), bins.map(([, rows]) => count(rows))];
  const [labelWidth, numberWidth] = [labels, numbers].map((texts) =>
    Math.max(...texts.map(({ length }) => length)),
  );
  const room = Math.min(widest, (process.stdout.columns || 80) - labelWidth - numberWidth - 7);
  return bins.map(([label, rows], i) => {
    const eighths = Math.max(0, Math.ceil((8 * room * rows) / most));
    const bar = '█'.repeat(Math.floor(eighths / 8)) + blocks[eighths % 8];
    return `  ${label.padStart(labelWidth)}  ${numbers[i].padStart(numberWidth)}  ${bar}`.trimEnd();
  });
}

function percent(share: number): string {
  return share.toLocaleString('en', { style: 'percent', maximumSignificantDigits: 3 });
}
