/** Bits of a number of 64 bits that a bin is told by: its exponent and 12 bits of its fraction. */
const binBits = 8;

const view = new DataView(new ArrayBuffer(8));

/** A picture of how numbers are spread. */
export interface Histogram {
  /** The ends of the bins, one more than there are bins, at equal distances. */
  readonly edges: readonly number[];
  readonly counts: readonly number[];
  /** Numbers below the first bin, and above the last one. */
  readonly below: number;
  readonly above: number;
}

/** How numbers that are not negative are spread, to 1 in 4,096 of each, whatever their range and however many there are. */
export class Distribution {
  /** Numbers by the upper bits that they share. */
  readonly #bins = new Map<number, number>();
  #count = 0;

  add(value: number): void {
    view.setFloat64(0, value);
    const bin = view.getUint32(0) >>> binBits;
    this.#bins.set(bin, (this.#bins.get(bin) ?? 0) + 1);
    this.#count += 1;
  }

  /** Below which the shares of all lie, in ascending order. */
  quantiles(shares: readonly number[]): number[] {
    const bins = this.#sorted();
    let i = 0;
    let before = 0;
    return shares.map((share) => {
      while (i < bins.length - 1 && before + bins[i][1] <= share * this.#count) before += bins[i++][1];
      return middleOf(bins[i][0]);
    });
  }

  /** All but the outermost, at most a share of `beyond` at either end, in `count` bins. */
  histogram(count: number, beyond: number): Histogram {
    const [low, high] = this.quantiles([beyond, 1 - beyond]);
    const number = low < high ? count : 1;
    const width = (high - low) / number;
    const counts = new Array<number>(number).fill(0);
    let below = 0;
    let above = 0;
    for (const [bin, rows] of this.#sorted()) {
      const value = middleOf(bin);
      if (value < low) below += rows;
      else if (value > high) above += rows;
      else counts[width > 0 ? Math.min(number - 1, Math.floor((value - low) / width)) : 0] += rows;
    }
    const edges = Array.from({ length: number + 1 }, (_, i) => low + i * width);
    return { edges, counts, below, above };
  }

  #sorted(): [bin: number, count: number][] {
    return [...this.#bins].sort(([a], [b]) => a - b);
  }
}

function middleOf(bin: number): number {
  if (bin === 0) return 0;
  view.setUint32(0, (bin << binBits) | (1 << (binBits - 1)));
  view.setUint32(4, 0);
  return view.getFloat64(0);
}
