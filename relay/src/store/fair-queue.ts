/**
 * Work that waits its turn, fairly between keys: each key with something to do gets one turn at its oldest item, however much the
 * others have waiting. An item stays the first of its key until it is finished, however many turns that takes, so that those of one
 * key never overtake one another, and nobody waits for more than one turn of each other key.
 */
export interface FairQueue<Item> {
  readonly size: number;
  add(key: string, item: Item): void;
  /** The item whose turn it is. All other keys come before the next turn of its key. */
  next(): { readonly key: string; readonly item: Item } | undefined;
  /** Removes the first item of a key. */
  finish(key: string): void;
}

export function createFairQueue<Item>(): FairQueue<Item> {
  /** Keys in the order of their turns; none is empty. */
  const itemsByKey = new Map<string, Item[]>();
  let size = 0;
  return {
    get size() {
      return size;
    },
    add(key, item) {
      const items = itemsByKey.get(key);
      if (items === undefined) itemsByKey.set(key, [item]);
      else items.push(item);
      size++;
    },
    next() {
      for (const [key, items] of itemsByKey) {
        const [item] = items;
        if (item === undefined) continue;
        itemsByKey.delete(key);
        itemsByKey.set(key, items);
        return { key, item };
      }
      return undefined;
    },
    finish(key) {
      const items = itemsByKey.get(key);
      if (items?.shift() === undefined) return;
      size--;
      if (items.length === 0) itemsByKey.delete(key);
    },
  };
}
