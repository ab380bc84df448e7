/** What every file system and every bucket takes as it is: nothing is changed in upper case, accents, dots or escapes. */
const part = /^[A-Za-z0-9_][A-Za-z0-9_=+@,.-]*$/;

/** Whether that is a key: names of ASCII letters, digits and `_=+@,.-`, joined by slashes, none of which begins with a sign. */
export function isKey(key: string): boolean {
  return key.split('/').every((name) => part.test(name));
}

/** @throws an Error, since only a fault of this program makes another one. */
export function checkKey(key: string): void {
  if (!isKey(key)) throw new Error(`${JSON.stringify(key)} is no key of a store.`);
}
