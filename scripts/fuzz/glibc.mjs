import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Versions of system libraries that Jazzer.js's binary for Linux asks for, and of which it uses the three functions below alone. */
const newer = ['GLIBC_2.38', 'GLIBCXX_3.4.32'];

/** C23's strtol and strtoul differ in numbers such as 0b1 alone; the third marks that a program uses std::cout, which older libraries set up anyway. */
const functions = `
#include <stdlib.h>
long __isoc23_strtol(const char *s, char **end, int base) { return strtol(s, end, base); }
unsigned long __isoc23_strtoul(const char *s, char **end, int base) { return strtoul(s, end, base); }
void _ZSt21ios_base_library_initv(void) {}
`;

/**
 * Makes Jazzer.js's binary load where the C library is older than the one that it was built with, as in Debian 12: its file then asks for the
 * newer versions weakly, and a small library has the functions.
 * @param binary the file, which is changed. @param folder where the library goes.
 * @returns the library for LD_PRELOAD; undefined if there is no C compiler, or the binary is no 64-bit ELF file.
 */
export function makeLoadable(binary, folder) {
  const library = join(folder, 'glibc.so');
  const source = join(folder, 'glibc.c');
  if (!existsSync(library)) {
    writeFileSync(source, functions);
    const { status } = spawnSync('cc', ['-shared', '-fPIC', '-o', library, source], { stdio: 'ignore' });
    if (status !== 0) return undefined;
  }
  const bytes = readFileSync(binary);
  if (bytes.readUInt32BE(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1) return undefined;
  for (const place of versionsIn(bytes)) {
    // VER_FLG_WEAK: the loader says nothing where such a version is missing.
    if (newer.includes(place.name)) bytes.writeUInt16LE(bytes.readUInt16LE(place.flags) | 2, place.flags);
  }
  writeFileSync(binary, bytes);
  return library;
}

/** The versions that an ELF file asks for (SHT_GNU_verneed, in the Linux Standard Base), and where the flags of each are. */
function* versionsIn(bytes) {
  const long = (at) => Number(bytes.readBigUInt64LE(at));
  const [sections, size, count] = [long(0x28), bytes.readUInt16LE(0x3a), bytes.readUInt16LE(0x3c)];
  const section = (i) => {
    const at = sections + i * size;
    return { type: bytes.readUInt32LE(at + 4), offset: long(at + 0x18), link: bytes.readUInt32LE(at + 0x28) };
  };
  const needed = Array.from({ length: count }, (_, i) => section(i)).find(({ type }) => type === 0x6ffffffe);
  if (!needed) return;
  const { offset: names } = section(needed.link);
  for (let file = needed.offset; ; ) {
    let at = file + bytes.readUInt32LE(file + 8);
    for (let left = bytes.readUInt16LE(file + 2); left > 0; left--) {
      const name = names + bytes.readUInt32LE(at + 8);
      yield { name: bytes.toString('latin1', name, bytes.indexOf(0, name)), flags: at + 4 };
      at += bytes.readUInt32LE(at + 12);
    }
    const next = bytes.readUInt32LE(file + 12);
    if (next === 0) return;
    file += next;
  }
}
