/**
 * A store that opens itself again: whatever ended the one before (its thread died, its disk fails whatever is asked of it), the
 * reason usually passes: the disk has room again, a mount is back, the other program has let go. Until then everything that is
 * asked rejects with the reason of that moment, which is what /healthz says too; nothing is ever answered from memory. What a
 * person has to repair (damage, data of a newer relay) stays refused, and is looked at again only now and then.
 *
 *   open ──ended, or faults in a row──▶ down ──pause──▶ opening ──▶ open
 *                                        ▲                 │ cannot be opened
 *                                        └─────────────────┘
 */
import type { Clock, Timer } from '../clock.ts';
import { isMediumFault, type RoomStore, StoreError } from './room-store.ts';

/** One life of a store: after `endedUnasked`, or `close`, it serves no more. */
export interface OpenedStore extends Omit<RoomStore, 'onFailure'> {
  /** Resolves when it can serve no more although nobody closed it. */
  readonly endedUnasked: Promise<StoreError>;
}

/** Doubles from the first to the last; what only a person can repair is looked at as rarely as that from the start. */
export const reopenFirstMs = 500;
export const reopenMaxMs = 30_000;
export const reopenByHandMs = 5 * 60_000;
/** Who served for so long has come back for good: the next pause is short again. */
const livedMs = 60_000;
/** So many answers in a row that say that the medium fails: what is open may be the handle of a disk that has gone and is back. */
const faultsMax = 3;

type State =
  | { readonly kind: 'open'; readonly life: OpenedStore }
  | { readonly kind: 'down'; readonly error: StoreError }
  | { readonly kind: 'closed' };

/** Rejects with what `open` rejects with the first time: at the start a person is there to read it. */
export async function reopeningRoomStore(
  open: () => Promise<OpenedStore>,
  { clock }: { readonly clock: Clock },
): Promise<RoomStore> {
  const listeners: ((error: StoreError) => void)[] = [];
  let state: State = { kind: 'down', error: new StoreError('closed', 'the store is not open yet') };
  let storeId = new Uint8Array(0);
  let faults = 0;
  let attempts = 0;
  let openedAtMs = 0;
  let timer: Timer | undefined;
  /** What ends or opens a life at this moment. */
  let changing: Promise<void> = Promise.resolve();

  function begin(life: OpenedStore): void {
    faults = 0;
    openedAtMs = clock.monotonicMs();
    storeId = new Uint8Array(life.storeId);
    state = { kind: 'open', life };
    void life.endedUnasked.then((error) => fail(life, error));
  }

  function fail(life: OpenedStore, error: StoreError): void {
    if (state.kind !== 'open' || state.life !== life) return;
    state = { kind: 'down', error };
    if (clock.monotonicMs() - openedAtMs >= livedMs) attempts = 0;
    for (const listener of listeners) listener(error);
    // Its files are free only then.
    changing = life.close().then(() => later(error));
  }

  function later(error: StoreError): void {
    if (state.kind !== 'down') return;
    const backOffMs = Math.min(reopenMaxMs, reopenFirstMs * 2 ** Math.min(attempts, 20));
    attempts++;
    timer = clock.after(isForAPerson(error) ? reopenByHandMs : backOffMs, () => {
      changing = reopen();
    });
  }

  async function reopen(): Promise<void> {
    try {
      const life = await open();
      // Closed meanwhile.
      if (state.kind === 'down') begin(life);
      else await life.close();
    } catch (cause) {
      const error = cause instanceof StoreError ? cause : new StoreError('failed', String(cause), cause);
      if (state.kind === 'down') state = { kind: 'down', error };
      later(error);
    }
  }

  async function ask<Answer>(question: (life: OpenedStore) => Promise<Answer>): Promise<Answer> {
    if (state.kind === 'down') throw state.error;
    if (state.kind === 'closed') throw new StoreError('closed', 'the store is closed');
    const { life } = state;
    try {
      const answer = await question(life);
      faults = 0;
      return answer;
    } catch (error) {
      if (error instanceof StoreError && isMediumFault(error)) {
        faults++;
        if (faults >= faultsMax) fail(life, error);
      }
      throw error;
    }
  }

  begin(await open());
  return {
    get storeId() {
      return storeId;
    },
    health() {
      if (state.kind === 'open') return state.life.health();
      return state.kind === 'down' ? state.error : new StoreError('closed', 'the store is closed');
    },
    onFailure: (listener) => void listeners.push(listener),
    lookUp: (...args) => ask((life) => life.lookUp(...args)),
    append: (...args) => ask((life) => life.append(...args)),
    seed: (...args) => ask((life) => life.seed(...args)),
    records: (...args) => ask((life) => life.records(...args)),
    locate: (...args) => ask((life) => life.locate(...args)),
    have: (...args) => ask((life) => life.have(...args)),
    keep: (...args) => ask((life) => life.keep(...args)),
    put: (...args) => ask((life) => life.put(...args)),
    get: (...args) => ask((life) => life.get(...args)),
    putCheckpoint: (...args) => ask((life) => life.putCheckpoint(...args)),
    checkpoint: (...args) => ask((life) => life.checkpoint(...args)),
    async close() {
      const before = state;
      state = { kind: 'closed' };
      timer?.cancel();
      if (before.kind === 'open') await before.life.close();
      await changing;
    },
  };
}

const isForAPerson = ({ code }: StoreError): boolean => code === 'damaged' || code === 'newer';
