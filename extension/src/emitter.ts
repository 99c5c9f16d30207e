/** Events for the parts that know nothing of vscode: same shape as its own, so that they meet without adapters. */
export interface Disposable {
  dispose(): void;
}
export type Event<T> = (listener: (value: T) => void) => Disposable;

export interface Emitter<T> {
  readonly event: Event<T>;
  fire(value: T): void;
}

export function createEmitter<T>(): Emitter<T> {
  const listeners = new Set<{ readonly call: (value: T) => void }>();
  return {
    event: (listener) => {
      // Wrapped, so that one function may listen twice and be disposed once.
      const entry = { call: listener };
      listeners.add(entry);
      return { dispose: () => void listeners.delete(entry) };
    },
    fire: (value) => {
      for (const { call } of [...listeners]) call(value);
    },
  };
}
