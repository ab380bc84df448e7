const whole = new Intl.NumberFormat('en');
const digits = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

/** A count, such as 16,384. */
export const count = (value: number) => whole.format(value);

/** A count and what is counted: `1 row`, `2 rows`. */
export const counted = (value: number, one: string) => `${count(value)} ${one}${value === 1 ? '' : 's'}`;

/** A number to three digits, with a minus sign that is one. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  const text =
    size !== 0 && (size < 1e-4 || size >= 1e7)
      ? value.toExponential(2).replace('e+', 'e')
      : digits.format(value);
  return text.replaceAll('-', '−');
}

/** A share as percent, to three digits. */
export const percent = (share: number) => (Number.isFinite(share) ? `${number(share * 100)}%` : '–');

/** A cosine, with a fixed number of places so that those in a column compare. */
export const cosine = (value: number) => (Number.isFinite(value) ? value.toFixed(3).replace('-', '−') : '–');

/** The powers of ten between which values lie, the least above the lower one; these are the ends of a logarithmic axis. */
export const decades = (least: number, largest: number) => ({
  min: 10 ** (Math.ceil(Math.log10(least)) - 1),
  max: 10 ** Math.ceil(Math.log10(largest)),
});

/** A label, or words for one that is empty. */
export const labelText = (label: string) => (label.trim() === '' ? 'no label' : label);

/** A text on one line, cut after so many characters. */
export function shortened(text: string, most: number): string {
  const line = text
    .slice(0, most * 2)
    .replaceAll(/\s+/g, ' ')
    .trim();
  // Not between the halves of a character.
  return line.length > most || text.length > most * 2
    ? `${Array.from(line)
        .slice(0, most - 1)
        .join('')}…`
    : line;
}
