/**
 * What comes from the relay between two turns of the loop: the session, pushed records, presences, and why there is none
 * (rules LOG4, ADM1, W6). Callbacks only remember here; what is done with it belongs to the loop, which takes it.
 */
import { hexToBytes, type SealedChunk, type SealedRecord } from '@driftless/protocol';
import type { Halt } from './core/peer-state.ts';
import { shellWord } from './core/shell-word.ts';
import type { PeerParts } from './peer-api.ts';
import type { RoomLink, RoomSession } from './ports/room-session.ts';

/** Setting: an identity of the relay that was trusted while no peer ran. */
export const trustedRelayKey = 'trusted-relay-key';

/** Bytes of pushed records waiting for their turn; beyond, they are fetched again. */
const pushedBytesMax = 8 * 1024 * 1024;
/** Presences waiting for their turn; each says again soon what it said. */
const presencesMax = 1_000;

/** Refusals that end with the relay's trouble. */
const passing: readonly Halt['code'][] = ['relay-full', 'relay-busy', 'relay-failed'];

export interface PushedRecord {
  readonly record: SealedRecord;
  readonly chunks: readonly SealedChunk[];
}

export interface RelayFeed {
  open(): void;
  close(): void;
  nudge(): void;
  /** The session, answering or not. */
  readonly session: RoomSession | null;
  /** The session while it answers, not only while it is connected. */
  answering(): RoomSession | null;
  /** The same for work beside the loop: what it waits for ends with no turn. */
  lasting(): RoomSession | null;
  /** The session ended under a request. */
  dropSession(): void;
  readonly offlineReason: string;
  /** Why the relay is not, or does not let itself be, talked to. */
  readonly refusal: Halt | null;

  /** The remote tree was brought to the relay's head in this session, and has not been in doubt since. */
  caughtUp: boolean;
  /** The log is known to be longer than what was pushed. */
  headMoved: boolean;
  readonly hasPushed: boolean;
  takePushed(): { readonly records: readonly PushedRecord[]; readonly bytes: number };
  takePresences(): readonly Uint8Array[];

  /** This identity, in hexadecimal digits, is the relay's. Returns whether the relay shows it now; else it is trusted as soon as it does. */
  trust(key: string): boolean;
}

export interface RelayFeedOptions {
  /** There is something to take, or another state of the link. */
  readonly onNews: () => void;
  readonly onPresence: () => void;
  readonly onOnline: () => void;
  /** Told at once, however long the turn under way takes. */
  readonly onOffline: () => void;
  /** What turns wait for at the relay ends with them. */
  readonly asTurnsSeeIt: (session: RoomSession) => RoomSession;
  /** Runs between two turns. */
  readonly command: (work: () => Promise<void>) => void;
}

type FeedParts = Pick<PeerParts, 'dir' | 'urls' | 'relayKey' | 'cipher' | 'relay' | 'onRelayKey'> & {
  readonly store: Pick<PeerParts['store'], 'head'>;
};

export function createRelayFeed(parts: FeedParts, options: RelayFeedOptions): RelayFeed {
  const { onNews } = options;
  let link: RoomLink | null = null;
  let session: RoomSession | null = null;
  let lasting: RoomSession | null = null;
  let responsive = false;
  let offlineReason = 'not connected yet';
  let refusal: Halt | null = null;
  /** What the relay shows now, and is not pinned. */
  let refusedKey: string | null = null;
  /** What somebody said is the relay's: it may not be shown yet. */
  let wantedKey: string | null = null;
  let trustedKey: Uint8Array | null = null;
  let pushed: PushedRecord[] = [];
  let pushedBytes = 0;
  const presences: Uint8Array[] = [];

  function open(): void {
    link = parts.relay.open(
      { urls: parts.urls, relayKey: trustedKey ?? parts.relayKey, cipher: parts.cipher },
      {
        known: () => parts.store.head(),
        onOnline: (next) => {
          lasting = next;
          session = options.asTurnsSeeIt(next);
          responsive = true;
          refusal = null;
          // Another key was offered, and is gone: nobody trusts it any more by saying so.
          refusedKey = null;
          wantedKey = null;
          pushed = [];
          pushedBytes = 0;
          feed.caughtUp = false;
          parts.onRelayKey(next.relayKey);
          options.onOnline();
          onNews();
        },
        onPushed: (record, chunks) => {
          const bytes =
            record.header.length + record.body.length + chunks.reduce((sum, chunk) => sum + chunk.sealed.length, 0);
          if (pushedBytes + bytes > pushedBytesMax) feed.headMoved = true;
          else {
            pushed.push({ record, chunks });
            pushedBytes += bytes;
          }
          onNews();
        },
        onHeadMoved: () => {
          feed.headMoved = true;
          onNews();
        },
        onPresence: (sealed) => {
          if (presences.length < presencesMax) presences.push(sealed);
          options.onPresence();
        },
        onOffline: (reason) => {
          responsive = false;
          offlineReason = reason;
          // A relay that is away refuses nothing; who is not let in, or does not trust it, stays so.
          if (refusal !== null && passing.includes(refusal.code)) refusal = null;
          options.onOffline();
          onNews();
        },
        onResponsive: () => {
          responsive = true;
          onNews();
        },
        onRefused: (refused) => {
          session = null;
          responsive = false;
          trustedKey = null;
          refusal =
            refused.code === 'relay-key-changed'
              ? {
                  ...refused,
                  next: `if the relay has a new identity, and "driftless relay --show-key" shows it there: driftless trust-relay ${shellWord(parts.dir)} ${refused.relayKey}`,
                }
              : refused;
          refusedKey = refused.relayKey ?? null;
          if (refusedKey !== null && refusedKey === wantedKey) options.command(async () => void trustShown());
          onNews();
        },
      },
    );
  }

  function trust(key: string): boolean {
    wantedKey = key;
    return trustShown();
  }

  function trustShown(): boolean {
    if (refusedKey === null || refusedKey !== wantedKey) return false;
    trustedKey = hexToBytes(refusedKey);
    parts.onRelayKey(trustedKey);
    refusedKey = null;
    wantedKey = null;
    refusal = null;
    link?.close();
    open();
    return true;
  }

  const feed: RelayFeed = {
    open,
    close: () => link?.close(),
    nudge: () => link?.nudge(),
    get session() {
      return session;
    },
    answering: () => (responsive ? session : null),
    lasting: () => (responsive && session !== null ? lasting : null),
    dropSession: () => {
      session = null;
      responsive = false;
    },
    get offlineReason() {
      return offlineReason;
    },
    get refusal() {
      return refusal;
    },
    caughtUp: false,
    headMoved: false,
    get hasPushed() {
      return pushed.length > 0;
    },
    takePushed: () => {
      const taken = { records: pushed, bytes: pushedBytes };
      pushed = [];
      pushedBytes = 0;
      return taken;
    },
    takePresences: () => presences.splice(0),
    trust,
  };
  return feed;
}
