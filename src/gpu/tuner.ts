import { EngineError, LimitError, OutOfMemoryError } from './errors.js';
import { multiply, plainProductFiles } from './gemm.js';
import type { Gpu, ShaderLoader } from './gpu.js';
import { Program } from './program.js';
import { Tensor } from './tensor.js';
import { type GemmShape, type GemmTile, gemmFamilies, gemmTiles } from './tiles.js';
import { Stopwatch } from './timing.js';

/** Where a host keeps what was measured: a file in the user's cache folder, or the browser's storage. */
export interface TuningStore {
  /** The text that was written last; undefined where there is none. */
  read(): Promise<string | undefined>;
  write(text: string): Promise<void>;
}

/** Tiles by the shapes they are for, such as `nt 64x20x784`. */
export type Tiles = Readonly<Record<string, GemmTile>>;

export interface TuningOptions {
  /**
   * `quick`, the default, takes what was found before, and else times a handful of tiles on a GPU, or takes the likeliest on
   * a software adapter, where a tile takes long to compile. `full` times them anew, there too. `off` takes the likeliest.
   */
  readonly tune?: 'off' | 'quick' | 'full';
  readonly store?: TuningStore;
  /** Tiles that are used without being timed, such as those of a run that is to be repeated. */
  readonly tiles?: Tiles;
}

/** What is stored for an adapter: tiles for as long as the kernels are the same. */
interface Entry {
  /** SHA-256 of the kernels' text. */
  readonly shaders: string;
  readonly tiles: Tiles;
}

/** How long a measurement lasts: far longer than the grain of timestamps, 0.1 ms. */
const measurementMilliseconds = 3;
const rounds = 3;

/** Chooses the tile of each GEMM on an adapter: by timing the plain product of that shape, once. */
export class Tuner {
  readonly #chosen = new Map<string, Promise<GemmTile>>();
  readonly #tiles: Record<string, GemmTile> = {};
  /** One shape is timed at a time: two at once would spoil each other's times, and what is stored. */
  #timing: Promise<unknown> = Promise.resolve();
  #entry: Promise<Entry> | undefined;

  constructor(
    readonly gpu: Gpu,
    readonly loadShader: ShaderLoader,
    readonly options: TuningOptions,
  ) {}

  /** The tiles chosen so far: with the same ones, seed, adapter and driver a run gives the same bits. */
  get tiles(): Tiles {
    return { ...this.#tiles };
  }

  /** The tile for a shape, which is timed where that was not done before. @throws EngineError for a given tile that is no candidate. */
  async tile(shape: GemmShape): Promise<GemmTile> {
    const name = shapeName(shape);
    let chosen = this.#chosen.get(name);
    if (!chosen) {
      chosen = this.#choose(shape, name);
      this.#chosen.set(name, chosen);
      // A failure is the caller's; whoever asks again gets another try.
      chosen.catch(() => this.#chosen.delete(name));
    }
    const tile = await chosen;
    this.#tiles[name] = tile;
    return tile;
  }

  /** What is stored for this adapter, as far as it can still be used. */
  async stored(): Promise<Tiles> {
    this.#entry ??= this.#read();
    return (await this.#entry).tiles;
  }

  async #choose(shape: GemmShape, name: string): Promise<GemmTile> {
    const { gpu } = this;
    const { tune = 'quick', tiles: given } = this.options;
    const candidates = gemmTiles(gpu, shape);
    if (given && name in given) {
      const tile = known(candidates, given[name]);
      if (!tile) {
        throw new EngineError(
          `The tile given for ${name} is none that this adapter (${gpu.name}) uses: it comes from another adapter or version.`,
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
    const entry = (await readAll(this.options.store))[adapterKey(this.gpu)];
    return entry?.shaders === shaders && isObject(entry.tiles)
      ? { shaders, tiles: entry.tiles }
      : { shaders, tiles: {} };
  }

  /** Adds one tile to what is stored. Of two processes that write at once, the first one's tile is timed again some day. */
  async #write(name: string, tile: GemmTile): Promise<void> {
    const { store } = this.options;
    const { shaders, tiles } = await this.#read();
    const entry = { shaders, tiles: { ...tiles, [name]: tile } };
    this.#entry = Promise.resolve(entry);
    await store?.write(
      `${JSON.stringify({ ...(await readAll(store)), [adapterKey(this.gpu)]: entry }, null, 1)}\n`,
    );
  }

  async #shaderHash(): Promise<string> {
    const files = [...plainProductFiles, ...gemmFamilies.map((family) => `gemm_${family}.wgsl`)];
    const texts = await Promise.all(files.map((file) => this.loadShader(file)));
    const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(texts.join('\n')));
    return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
}

export function shapeName({ order, rows, columns, depth }: GemmShape): string {
  return `${order} ${rows}x${columns}x${depth}`;
}

/** Adapter and driver, as far as they give their names. */
function adapterKey({ adapter: { info } }: Gpu): string {
  return [info.vendor, info.architecture, info.device, info.description].join(' / ');
}

/** All that is stored; nothing where the store is damaged or holds something else: it is then written anew. */
async function readAll(store: TuningStore | undefined): Promise<Record<string, Partial<Entry> | undefined>> {
  try {
    const all: unknown = JSON.parse((await store?.read()) ?? '{}');
    return isObject(all) ? (all as Record<string, Partial<Entry> | undefined>) : {};
  } catch {
    return {};
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The candidate that equals what was stored: a tile from elsewhere could be anything. */
function known(candidates: readonly GemmTile[], tile: unknown): GemmTile | undefined {
  const text = isObject(tile) ? sorted(tile) : undefined;
  return candidates.find((candidate) => sorted(candidate) === text);
}

function sorted(tile: object): string {
  return JSON.stringify(Object.entries(tile).sort());
}

/**
 * Times the plain product of the shape with each tile, in turns, and gives the tile that was fastest at its best.
 * Undefined where there is no memory for that; a tile that the adapter does not compile is left out.
 */
async function fastest(
  gpu: Gpu,
  shape: GemmShape,
  tiles: readonly GemmTile[],
): Promise<GemmTile | undefined> {
  if (tiles.length === 1) {
    return tiles[0];
  }
  const { order, rows, columns, depth } = shape;
  const made: { destroy(): void }[] = [];
  const keep = <T extends { destroy(): void }>(owned: T): T => {
    made.push(owned);
    return owned;
  };
  try {
    const [a, b, c] = await gpu.allocate(`trying tiles for ${shapeName(shape)}`, () => [
      keep(new Tensor(gpu, 'a', order === 'tn' ? [depth, rows] : [rows, depth])),
      keep(new Tensor(gpu, 'b', order === 'nt' ? [columns, depth] : [depth, columns])),
      keep(new Tensor(gpu, 'c', [rows, columns])),
    ]);
    const programs = tiles.map((tile) => ({ tile, program: keep(new Program(gpu)) }));
    const compiled = await Promise.allSettled(
      programs.map(async ({ tile, program }) => {
        await multiply(program, order, a, b, c, tile);
        await program.ready();
      }),
    );
    const usable = programs.filter((_, i) => compiled[i].status === 'fulfilled');
    const stopwatch = keep(new Stopwatch(gpu));
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
  } catch (error) {
    if (error instanceof OutOfMemoryError || error instanceof LimitError) {
      return undefined;
    }
    throw error;
  } finally {
    for (const owned of made) {
      owned.destroy();
    }
  }
}
