/**
 * A checksum of 32 bits, four bytes at a time, by a table for each.
 * @param polynomial with its bits turned round.
 */
function checksum(polynomial: number) {
  const tables = Array.from({ length: 4 }, () => new Uint32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let rest = byte;
    for (let bit = 0; bit < 8; bit++) rest = (rest >>> 1) ^ (rest & 1 ? polynomial : 0);
    tables[0][byte] = rest;
  }
  for (let byte = 0; byte < 256; byte++) {
    for (let i = 1; i < 4; i++) {
      const before = tables[i - 1][byte];
      tables[i][byte] = (before >>> 8) ^ tables[0][before & 0xff];
    }
  }
  const [last, third, second, first] = tables;
  return (bytes: Uint8Array, before = 0): number => {
    let rest = ~before;
    let at = 0;
    for (const end = bytes.length - 3; at < end; at += 4) {
      rest ^= bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
      rest =
        first[rest & 0xff] ^ second[(rest >>> 8) & 0xff] ^ third[(rest >>> 16) & 0xff] ^ last[rest >>> 24];
    }
    for (; at < bytes.length; at++) rest = last[(rest ^ bytes[at]) & 0xff] ^ (rest >>> 8);
    return ~rest >>> 0;
  };
}

/** The CRC-32 of bytes, as in ZIP (APPNOTE 4.4.7). @param before that of the bytes before them; 0 if there are none. */
export const crc32 = checksum(0xedb88320);
/** The CRC-32C of bytes, as in RFC 3720. @param before as of `crc32`. */
export const crc32c = checksum(0x82f63b78);
