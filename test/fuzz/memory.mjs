// Counts what readers ask for: memory that is asked for and never filled takes none of the system's, and its peak shows nothing.

let asked = 0;
let most = Number.POSITIVE_INFINITY;
let exceeded = false;

/** Begins to count anew. @param bytes that may be asked for. */
export function limitMemory(bytes) {
  asked = 0;
  most = bytes;
  exceeded = false;
}

/** Bytes asked for since, and whether they were too many. */
export function memoryAsked() {
  return { asked, exceeded };
}

function ask(bytes) {
  asked += bytes;
  if (asked <= most) return;
  exceeded = true;
  // It is not allocated: others need this machine's memory. As what a machine without memory throws, it may be caught.
  throw new RangeError('Array buffer allocation failed');
}

const arrays = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
];

for (const own of arrays) {
  const counted = new Proxy(own, {
    construct(_, args, newTarget) {
      const [given] = args;
      // Views of a buffer need none of their own.
      if (!(given instanceof ArrayBuffer)) {
        const length = typeof given === 'number' ? given : (given?.length ?? 0);
        ask(length * own.BYTES_PER_ELEMENT);
      }
      return Reflect.construct(own, args, newTarget);
    },
  });
  globalThis[own.name] = counted;
  // By which libraries tell one type from another.
  own.prototype.constructor = counted;
}

globalThis.ArrayBuffer = new Proxy(ArrayBuffer, {
  construct(own, args, newTarget) {
    ask(Number(args[0]) || 0);
    return Reflect.construct(own, args, newTarget);
  },
});

for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow']) {
  const own = Buffer[name];
  Buffer[name] = (bytes, ...others) => {
    ask(bytes);
    return own(bytes, ...others);
  };
}

const from = Array.from;
Array.from = function (given, ...others) {
  if (typeof given?.length === 'number') ask(8 * given.length);
  return from.call(this, given, ...others);
};
