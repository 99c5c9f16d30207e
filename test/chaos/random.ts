/** Chance from a seed: the same seed makes the same choices (what the machine's timing makes of them is another matter). */
export interface Chance {
  /** In [0, 1). */
  fraction(): number;
  /** In [min, max]. */
  integer(min: number, max: number): number;
  pick<Item>(items: readonly [Item, ...Item[]]): Item;
  /** undefined for an empty list. */
  pickFrom<Item>(items: readonly Item[]): Item | undefined;
  weighted<Item>(items: readonly (readonly [number, Item])[]): Item;
  bytes(length: number): Uint8Array;
}

export function createChance(seed: number): Chance {
  let state = seed >>> 0;
  // mulberry32
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const integer = (min: number, max: number): number => min + Math.floor(fraction() * (max - min + 1));
  return {
    fraction,
    integer,
    pick: (items) => items[integer(0, items.length - 1)] ?? items[0],
    pickFrom: (items) => items[integer(0, items.length - 1)],
    weighted(items) {
      const total = items.reduce((sum, [weight]) => sum + weight, 0);
      let left = fraction() * total;
      for (const [weight, item] of items) {
        left -= weight;
        if (left < 0) return item;
      }
      const last = items.at(-1);
      if (last === undefined) throw new Error('nothing to choose from');
      return last[1];
    },
    bytes(length) {
      const bytes = new Uint8Array(length);
      const words = new DataView(bytes.buffer);
      for (let at = 0; at + 4 <= length; at += 4) words.setUint32(at, Math.floor(fraction() * 4_294_967_296));
      return bytes;
    },
  };
}
