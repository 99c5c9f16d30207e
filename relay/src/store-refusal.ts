/** What a peer is told when the store could not do what was asked, or does not serve at present. */
import type { Refusal } from './record-check.ts';
import type { StoreError } from './store/room-store.ts';

/** No more than these words: what the system said may name the relay's own files. */
export function refusalOf(failure: StoreError | undefined): Refusal {
  switch (failure?.code) {
    case 'disk-full':
      return { code: 'overQuota', detail: "the relay's disk is full" };
    case 'busy':
      return { code: 'overLimit', detail: 'the relay has too much to do' };
    case 'damaged':
      return { code: 'storeFailed', detail: "the relay's data is damaged; its log says what to do" };
    case 'in-use':
      return { code: 'storeFailed', detail: "another program holds the relay's data" };
    case 'newer':
      return { code: 'storeFailed', detail: "a newer relay wrote the relay's data" };
    default:
      return { code: 'storeFailed', detail: 'the relay could not do this; its log says why' };
  }
}
