/** The places of the largest of some values, at most `count`, the largest first and of equal ones the first. Takes no sorting of all. */
export function largest(values: ArrayLike<number>, count: number): number[] {
  const places: number[] = [];
  for (let i = 0; i < values.length; i++) {
    let at = places.length;
    if (at === count && (count === 0 || values[i] <= values[places[at - 1]])) continue;
    for (; at > 0 && values[places[at - 1]] < values[i]; at--);
    places.splice(at, 0, i);
    if (places.length > count) places.pop();
  }
  return places;
}
