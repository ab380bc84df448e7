import type { Device } from '../device.js';
import { EngineError, LimitError, OutOfMemoryError } from '../errors.js';
import { Program } from '../program.js';
import { Scope } from '../scope.js';
import { hexadecimal } from '../shown.js';
import { Stopwatch } from '../timing.js';
import { gemmTiles } from './candidates.js';
import { gemmWork, multiply, plainProductFiles, productOperands } from './gemm.js';
import type { GemmShape, GemmTile, TileChooser, Tiles } from './tiles.js';

/** Where a host keeps the tiles that were found: a file in the user's cache folder, or the browser's storage. */
export interface TuningStore {
  /** The text that was written last; undefined if there is none. */
  read(): Promise<string | undefined>;
  write(text: string): Promise<void>;
}

/** How the tile of a matrix product is chosen. */
export interface TuningOptions {
  /**
   * `quick`, the default, takes the tile that was found before; if there is none, it times a few tiles on a GPU, and
   * takes the first candidate on a software adapter, where a tile takes long to compile. `full` times them again, on
   * every adapter. `off` takes the first candidate.
   */
  readonly tune?: 'off' | 'quick' | 'full';
  readonly store?: TuningStore;
  /** Tiles to use without timing, such as those of a run that is to be repeated. */
  readonly tiles?: Tiles;
}

/** What is stored for an adapter: tiles for as long as the kernels are the same. */
interface Entry {
  /** SHA-256 of the kernels' text. */
  readonly shaders: string;
  readonly tiles: Tiles;
}

/** Length of a measurement: far longer than the resolution of timestamps, 0.1 ms. */
const measurementMilliseconds = 3;
const rounds = 3;
/** How many adapters, and shapes of each, are stored: the latest ones. A shape takes about 130 bytes. */
const mostAdapters = 16;
const mostShapes = 500;

/** Chooses the tile of each GEMM on an adapter by timing the plain product of that shape, once. */
export class Tuner implements TileChooser {
  readonly #chosen = new Map<string, Promise<GemmTile>>();
  readonly #tiles: Record<string, GemmTile> = {};
  /** One shape is timed at a time: two at once would disturb each other's times and overwrite each other's entries. */
  #timing: Promise<unknown> = Promise.resolve();
  #given: Tiles;
  #entry: Promise<Entry> | undefined;

  constructor(
    readonly gpu: Device,
    readonly options: TuningOptions,
  ) {
    this.#given = options.tiles ?? {};
  }

  /** Has the tiles of a run on the same adapter used again, for shapes that were not asked for yet. */
  repeat(tiles: Tiles): void {
    this.#given = tiles;
  }

  get tiles(): Tiles {
    return { ...this.#tiles };
  }

  /** The tile for a shape, timed if necessary. @throws EngineError if a given tile is not a candidate. */
  async tile(shape: GemmShape): Promise<GemmTile> {
    const name = shapeName(shape);
    let chosen = this.#chosen.get(name);
    if (!chosen) {
      chosen = this.#choose(shape, name);
      this.#chosen.set(name, chosen);
      // The caller gets the failure; the next call tries again.
      chosen.catch(() => this.#chosen.delete(name));
    }
    const tile = await chosen;
    this.#tiles[name] = tile;
    return tile;
  }

  /** The stored tiles of this adapter; none if the kernels have changed since. */
  async stored(): Promise<Tiles> {
    this.#entry ??= this.#read();
    return (await this.#entry).tiles;
  }

  async #choose(shape: GemmShape, name: string): Promise<GemmTile> {
    const { gpu } = this;
    const { tune = 'quick' } = this.options;
    const candidates = gemmTiles(gpu, shape);
    if (name in this.#given) {
      const tile = known(candidates, this.#given[name]);
      if (!tile) {
        throw new EngineError(
          `The tile given for ${name} is not one that this adapter (${gpu.name}) can use: it was recorded on another adapter or ` +
            'with another version. Run without these tiles.',
        );
      }
      return tile;
    }
    if (tune === 'off') {
      return candidates[0];
    }
    if (tune === 'quick') {
      const stored = known(candidates, (await this.stored())[name]);
      if (stored || gpu.software) {
        return stored ?? candidates[0];
      }
    }
    const timed = this.#timing.then(async () => {
      const tile = await fastest(gpu, shape, candidates);
      if (tile) {
        await this.#write(name, tile);
      }
      return tile ?? candidates[0];
    });
    this.#timing = timed.catch(() => {});
    return timed;
  }

  async #read(): Promise<Entry> {
    const shaders = await this.#shaderHash();
    const entry = (await readEntries<Entry>(this.options.store))[adapterKey(this.gpu)];
    return entry?.shaders === shaders && isObject(entry.tiles)
      ? { shaders, tiles: entry.tiles }
      : { shaders, tiles: {} };
  }

  /** Stores one more tile. If two processes write at once, one of the tiles is lost and timed again later. */
  async #write(name: string, tile: GemmTile): Promise<void> {
    const { store } = this.options;
    const { shaders, tiles } = await this.#read();
    const entry = { shaders, tiles: withLast(tiles, name, tile, mostShapes) };
    this.#entry = Promise.resolve(entry);
    await writeEntry(store, this.gpu, entry);
  }

  async #shaderHash(): Promise<string> {
    const texts = await Promise.all(plainProductFiles.map((file) => this.gpu.loadShader(file)));
    const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(texts.join('\n')));
    return hexadecimal(hash);
  }
}

function shapeName({ order, rows, columns, depth }: GemmShape): string {
  return `${order} ${rows}x${columns}x${depth}`;
}

/** Adapter and driver, as far as the host names them. */
export function adapterKey({ adapter: { info } }: Device): string {
  return [info.vendor, info.architecture, info.device, info.description].join(' / ');
}

/** What is stored for each adapter; nothing if the store is damaged or holds something else, and it is then overwritten. */
export async function readEntries<T>(
  store: TuningStore | undefined,
): Promise<Record<string, Partial<T> | undefined>> {
  try {
    const all: unknown = JSON.parse((await store?.read()) ?? '{}');
    return isObject(all) ? (all as Record<string, Partial<T> | undefined>) : {};
  } catch {
    return {};
  }
}

/** Stores what is known of an adapter, beside the latest others. */
export async function writeEntry<T>(store: TuningStore | undefined, gpu: Device, entry: T): Promise<void> {
  const all = withLast<unknown>(await readEntries(store), adapterKey(gpu), entry, mostAdapters);
  await store?.write(`${JSON.stringify(all, null, 1)}\n`);
}

/** The entries with one more at the end; if that makes more than `most`, the first are dropped. */
function withLast<T>(
  entries: Readonly<Record<string, T>>,
  name: string,
  last: T,
  most: number,
): Record<string, T> {
  const others = Object.entries(entries).filter(([other]) => other !== name);
  return Object.fromEntries([...others.slice(Math.max(0, others.length + 1 - most)), [name, last]]);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The candidate that equals a stored tile, which could be anything. */
function known(candidates: readonly GemmTile[], tile: unknown): GemmTile | undefined {
  const text = isObject(tile) ? sorted(tile) : undefined;
  return candidates.find((candidate) => sorted(candidate) === text);
}

function sorted(tile: object): string {
  return JSON.stringify(Object.entries(tile).sort());
}

/**
 * Times the plain product of the shape with each tile, several times in turn, and returns the tile with the smallest
 * time. Undefined if there is no memory for that; tiles that do not compile on the adapter are left out.
 */
async function fastest(
  gpu: Device,
  shape: GemmShape,
  tiles: readonly GemmTile[],
): Promise<GemmTile | undefined> {
  if (tiles.length === 1) {
    return tiles[0];
  }
  try {
    return await Scope.during((scope) => race(scope, gpu, shape, tiles));
  } catch (error) {
    if (error instanceof OutOfMemoryError || error instanceof LimitError) {
      return undefined;
    }
    throw error;
  }
}

/** What of a product is timed: some of its rows, where all would be more work than one dispatch may have. */
export function timedPart(gpu: Device, shape: GemmShape): GemmShape {
  const share = Math.min(1, gpu.mostWork / gemmWork(shape));
  // Products are made of blocks of four rows: at least one.
  return share === 1 ? shape : { ...shape, rows: 4 * Math.max(1, Math.floor((shape.rows * share) / 4)) };
}

async function race(
  scope: Scope,
  gpu: Device,
  shape: GemmShape,
  tiles: readonly GemmTile[],
): Promise<GemmTile | undefined> {
  const what = `trying tiles for ${shapeName(shape)}`;
  const part = timedPart(gpu, shape);
  const [a, b, c] = await gpu.allocate(what, () => productOperands(scope, gpu, part));
  const programs = tiles.map((tile) => ({ tile, program: scope.use(new Program(gpu)) }));
  const compiled = await Promise.allSettled(
    programs.map(async ({ tile, program }) => {
      await multiply(program, shape.order, a, b, c, tile);
      await program.ready();
    }),
  );
  const usable = programs.filter((_, i) => compiled[i].status === 'fulfilled');
  const stopwatch = scope.use(new Stopwatch(gpu));
  const contestants = [];
  for (const { tile, program } of usable) {
    const { times } = await stopwatch.calibrate(program, measurementMilliseconds);
    contestants.push({ tile, program, times, best: Number.POSITIVE_INFINITY });
  }
  for (let round = 0; round < rounds; round++) {
    for (const contestant of contestants) {
      const { program, times, best } = contestant;
      contestant.best = Math.min(best, (await stopwatch.time(program, times)) / times);
    }
  }
  return contestants.toSorted((one, other) => one.best - other.best)[0]?.tile;
}
