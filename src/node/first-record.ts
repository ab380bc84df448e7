/** Whether a file begins with a record that has these: a line that is a JSON object, or the names of columns. */
export function beginsWithRecord(content: Uint8Array, ...names: readonly string[]): boolean {
  const [first] = new TextDecoder().decode(content).split('\n', 1);
  const found = namesIn(first);
  return names.every((name) => found.includes(name));
}

function namesIn(line: string): readonly string[] {
  if (!line.startsWith('{')) return line.split(',');
  try {
    return Object.keys(JSON.parse(line));
  } catch {
    return [];
  }
}
