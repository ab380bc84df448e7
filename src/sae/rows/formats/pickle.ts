import type { Fail } from './bytes.js';

// A pickle is a program for a stack machine that may call any function of Python. This reader knows the opcodes that
// PyTorch writes for a dictionary of tensors, and calls nothing but the few constructors that it is given.
// Opcodes: Python's own `pickletools`, whose names are used here; protocol 2.

/** What a pickle is made of: None is null, lists and tuples are arrays, dictionaries are Maps. */
export type Pickled = null | boolean | number | string | Pickled[] | Map<Pickled, Pickled> | object;

/** What a pickle may use of its surroundings. */
export interface PickleAllowed {
  /** Functions and classes by their full names, such as `collections.OrderedDict`: what a call of them gives. */
  readonly calls: ReadonlyMap<string, (args: readonly Pickled[]) => Pickled>;
  /** Names that may be mentioned and not called; they stand for these values. */
  readonly constants: ReadonlyMap<string, object>;
  /** What a persistent id stands for. */
  persistent(id: Pickled): Pickled;
}

/** Pickles of tensors take some kilobytes. */
export const longestPickle = 16 * 2 ** 20;

/** A function that an allowed name stands for. */
class Callable {
  constructor(
    readonly name: string,
    readonly call: (args: readonly Pickled[]) => Pickled,
  ) {}
}

const text = new TextDecoder('utf-8', { fatal: true });
const ascii = new TextDecoder('latin1');

/**
 * Reads a pickle without executing it.
 * @param fail is called with an opcode, function or class that is not allowed, or the byte where it is damaged.
 */
export function readPickle(bytes: Uint8Array, allowed: PickleAllowed, fail: Fail): Pickled {
  return new Machine(bytes, allowed, fail).run();
}

class Machine {
  private at = 0;
  private stack: Pickled[] = [];
  /** The stacks below the open marks. */
  private readonly below: Pickled[][] = [];
  private readonly memo = new Map<number, Pickled>();
  private readonly view: DataView;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly allowed: PickleAllowed,
    private readonly refuse: Fail,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): Pickled {
    try {
      for (;;) {
        const start = this.at;
        const code = this.view.getUint8(this.at++);
        if (code === stop) return this.pop();
        const step = opcodes[code];
        if (!step) {
          const shown = `0x${code.toString(16).padStart(2, '0')}`;
          this.fail(`has the opcode ${shown} at byte ${start}, which no dictionary of tensors needs`);
        }
        step(this);
      }
    } catch (error) {
      // What reads past the end of a DataView throws a RangeError, and bytes that are no text a TypeError.
      if (error instanceof RangeError || error instanceof TypeError) {
        return this.fail(`is truncated or damaged before byte ${this.at}`);
      }
      throw error;
    }
  }

  fail(what: string): never {
    return this.refuse(`its pickle ${what}. Nothing of it was executed.`);
  }

  push(value: Pickled): void {
    this.stack.push(value);
  }

  pop(): Pickled {
    return this.stack.length > 0
      ? (this.stack.pop() as Pickled)
      : this.fail(`lacks a value at byte ${this.at}`);
  }

  /** What stays at the top of the stack. */
  top(): Pickled {
    const value = this.pop();
    this.push(value);
    return value;
  }

  mark(): void {
    this.below.push(this.stack);
    this.stack = [];
  }

  /** The values above the last mark, which is removed. */
  popMarked(): Pickled[] {
    const values = this.stack;
    this.stack = this.below.pop() ?? this.fail(`lacks a mark at byte ${this.at}`);
    return values;
  }

  popMany(count: number): Pickled[] {
    return Array.from({ length: count }, () => this.pop()).reverse();
  }

  uint(size: 1 | 2 | 4): number {
    const at = this.at;
    this.at += size;
    if (size === 1) return this.view.getUint8(at);
    return size === 2 ? this.view.getUint16(at, true) : this.view.getUint32(at, true);
  }

  int32(): number {
    return this.uint(4) | 0;
  }

  float(): number {
    this.at += 8;
    return this.view.getFloat64(this.at - 8);
  }

  /** A whole number of that many bytes, in two's complement. */
  long(size: number): number {
    let value = 0n;
    for (const [i, byte] of this.take(size).entries()) value |= BigInt(byte) << BigInt(8 * i);
    const number = Number(BigInt.asIntN(8 * size, value));
    return Number.isSafeInteger(number)
      ? number
      : this.fail(`has a number of ${size} bytes at byte ${this.at}`);
  }

  string(size: number): string {
    return text.decode(this.take(size));
  }

  private take(size: number): Uint8Array {
    if (this.at + size > this.bytes.length) throw new RangeError();
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at);
  }

  private line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) throw new RangeError();
    const line = ascii.decode(this.take(end - this.at));
    this.at++;
    return line;
  }

  remember(index: number): void {
    this.memo.set(index, this.top());
  }

  recall(index: number): void {
    const value = this.memo.get(index);
    this.push(value === undefined ? this.fail(`recalls what it has not kept at byte ${this.at}`) : value);
  }

  global(): void {
    const name = `${this.line()}.${this.line()}`;
    const call = this.allowed.calls.get(name);
    const value = call ? new Callable(name, call) : this.allowed.constants.get(name);
    this.push(
      value ?? this.fail(`names ${JSON.stringify(name.slice(0, 100))}, which no dictionary of tensors needs`),
    );
  }

  reduce(): void {
    const args = this.pop();
    const callable = this.pop();
    if (!(callable instanceof Callable) || !Array.isArray(args)) {
      this.fail(`calls what is not a function at byte ${this.at}`);
    }
    this.push(callable.call(args));
  }

  persistent(): void {
    this.push(this.allowed.persistent(this.pop()));
  }

  setItems(items: readonly Pickled[]): void {
    const dictionary = this.top();
    if (!(dictionary instanceof Map) || items.length % 2 !== 0) {
      this.fail(`sets items of what is not a dictionary at byte ${this.at}`);
    }
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i];
      if (typeof key !== 'string' && typeof key !== 'number') {
        this.fail(`has a key that is neither text nor a number at byte ${this.at}`);
      }
      dictionary.set(key, items[i + 1]);
    }
  }

  append(items: readonly Pickled[]): void {
    const list = this.top();
    if (!Array.isArray(list)) this.fail(`appends to what is not a list at byte ${this.at}`);
    for (const item of items) list.push(item);
  }

  /** A state_dict carries its modules' versions as an attribute, which says nothing about the tensors. */
  build(): void {
    this.pop();
    if (!(this.top() instanceof Map)) {
      this.fail(`sets attributes of what is not a dictionary at byte ${this.at}`);
    }
  }
}

const stop = 0x2e;

/** What each opcode does. */
const opcodes: Readonly<Record<number, (machine: Machine) => void>> = {
  128: (m) => {
    const protocol = m.uint(1);
    if (protocol !== 2) m.fail(`is of protocol ${protocol}, and PyTorch writes protocol 2`);
  },
  40: (m) => m.mark(), // MARK
  125: (m) => m.push(new Map()), // EMPTY_DICT
  93: (m) => m.push([]), // EMPTY_LIST
  41: (m) => m.push([]), // EMPTY_TUPLE
  116: (m) => m.push(m.popMarked()), // TUPLE
  133: (m) => m.push(m.popMany(1)), // TUPLE1
  134: (m) => m.push(m.popMany(2)), // TUPLE2
  135: (m) => m.push(m.popMany(3)), // TUPLE3
  78: (m) => m.push(null), // NONE
  136: (m) => m.push(true), // NEWTRUE
  137: (m) => m.push(false), // NEWFALSE
  75: (m) => m.push(m.uint(1)), // BININT1
  77: (m) => m.push(m.uint(2)), // BININT2
  74: (m) => m.push(m.int32()), // BININT
  138: (m) => m.push(m.long(m.uint(1))), // LONG1
  71: (m) => m.push(m.float()), // BINFLOAT
  88: (m) => m.push(m.string(m.uint(4))), // BINUNICODE
  113: (m) => m.remember(m.uint(1)), // BINPUT
  114: (m) => m.remember(m.uint(4)), // LONG_BINPUT
  104: (m) => m.recall(m.uint(1)), // BINGET
  106: (m) => m.recall(m.uint(4)), // LONG_BINGET
  99: (m) => m.global(), // GLOBAL
  82: (m) => m.reduce(), // REDUCE
  81: (m) => m.persistent(), // BINPERSID
  98: (m) => m.build(), // BUILD
  97: (m) => m.append([m.pop()]), // APPEND
  101: (m) => m.append(m.popMarked()), // APPENDS
  115: (m) => m.setItems(m.popMany(2)), // SETITEM
  117: (m) => m.setItems(m.popMarked()), // SETITEMS
};
