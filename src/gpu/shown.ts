/** A value in a message: text in quotes, NaN as itself, and what would be long by its type. */
export function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null) {
    if (Array.isArray(value) && value.length <= 16) {
      return `[${value.map(inside)}]`;
    }
    const prototype = Object.getPrototypeOf(value);
    const entries = Object.entries(value);
    if ((prototype === Object.prototype || prototype === null) && entries.length <= 16) {
      return `{${entries.map(([name, own]) => `${JSON.stringify(name)}:${inside(own)}`)}}`;
    }
  }
  return inside(value);
}

/** As `shown`, without looking into objects. */
function inside(value: unknown): string {
  if (typeof value === 'string') {
    return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}...` : value);
  }
  if (typeof value === 'bigint') {
    return `${value}n`;
  }
  const simple = value === null || !['object', 'function', 'symbol'].includes(typeof value);
  return simple ? String(value) : `of type ${typeOf(value)}`;
}

/** The type of a value in a message, such as `Float64Array`. */
export function typeOf(value: unknown): string {
  return value === null || value === undefined ? `${value}` : (value.constructor?.name ?? typeof value);
}

/** Control characters but line feeds and tabs, and those that change the direction of what follows. */
const unprintable = /[^\P{Cc}\n\t]|[\u202a-\u202e\u2066-\u2069]/gu;

/** A text as a terminal can show it, without what it would obey. */
export function printable(text: string): string {
  return text.replace(unprintable, (sign) => {
    const code = sign.charCodeAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
  });
}

/** Bytes in hexadecimal digits. */
export function hexadecimal(bytes: ArrayBuffer): string {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** What a device or a driver says, without line breaks and without a point at the end. */
export function oneLine(message: string): string {
  return message.trim().replace(/\s+/g, ' ').replace(/\.$/, '');
}
