/** What was read last, by key, so many at most: a cache in front of a table that only one module writes. */
export interface RecentMap<Key, Value> {
  get(key: Key): Value | undefined;
  set(key: Key, value: Value): void;
  clear(): void;
}

/** The value that was used least recently goes first. */
export function createRecentMap<Key, Value>(sizeMax: number): RecentMap<Key, Value> {
  const values = new Map<Key, Value>();

  function set(key: Key, value: Value): void {
    values.delete(key);
    values.set(key, value);
    if (values.size <= sizeMax) return;
    for (const oldest of values.keys()) {
      values.delete(oldest);
      return;
    }
  }

  return {
    get(key) {
      const value = values.get(key);
      if (value !== undefined) set(key, value);
      return value;
    },
    set,
    clear: () => values.clear(),
  };
}
