/**
 * How a composition root runs a linked folder: everything that differs between the command line, the extension's engine
 * process, the simulator and the tests is given here.
 */

import type { DeviceId } from '@driftless/protocol';
import type { BytesUnderWay } from './content/free-space.ts';
import type { ConflictPolicy, InviteText, PeerControl, PeerEvent } from './control.ts';
import type { Clock } from './ports/clock.ts';
import type { Folder } from './ports/folder.ts';
import type { Hashing } from './ports/hashing.ts';
import type { Log } from './ports/log.ts';
import type { Random } from './ports/random.ts';
import type { DeviceKey, RoomCipher } from './ports/room-cipher.ts';
import type { RelayClient } from './ports/room-session.ts';
import type { StateStore } from './ports/state-store.ts';
import type { Watcher } from './ports/watcher.ts';

export interface PeerParts {
  readonly dir: string;
  readonly deviceName: string;
  readonly urls: readonly string[];
  /** Pinned identity of the relay, or null before first contact; `onRelayKey` is told which key to pin. */
  readonly relayKey: Uint8Array | null;
  readonly cipher: RoomCipher;
  readonly device: DeviceKey;
  /** Who gave the invite that this folder joined with: its word for what the room holds is enough (rule CP2). null: it is not known, or this device began the room. */
  readonly inviter: DeviceId | null;
  readonly folder: Folder;
  readonly store: StateStore;
  /** An empty store in memory: in it a checkpoint is judged before it is believed. */
  readonly openTrialStore: () => StateStore;
  readonly watcher: Watcher;
  readonly relay: RelayClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly hashing: Hashing;
  /** One for all folders of this process. */
  readonly bytesUnderWay: BytesUnderWay;
  readonly log: Log;
  readonly policy: ConflictPolicy;
  readonly allowMassDelete: boolean;
  /** Encodes this room's invite with the relay key known by now. */
  readonly makeInvite: () => InviteText;
  /** First contact with a relay whose key was not pinned, or the user's trust in a new one: pin it in the link. */
  readonly onRelayKey: (relayKey: Uint8Array) => void;
  /** The root's marker that this link wrote; another one on disk means that the root was replaced. */
  readonly marker: string;
  /** The root was in this room before this state store was made: its first pull is a re-join (rule TOMB). */
  readonly rejoin: boolean;
  /** Wall clock: when the folder last left this room by being unlinked; null = not that this machine knows. */
  readonly leftAtMs: number | null;
  /** Files above this are out of scope here, listed. */
  readonly fileBytesMax: number;
  /** Rows that one turn compares, more or less; for tests, since nothing may follow from it. */
  readonly rowsPerPlan?: number;
  readonly onEvent: (event: PeerEvent) => void;
}

export interface Peer extends PeerControl {
  /** Returns at once; events tell the rest. */
  start(): void;
  /** Finishes or abandons the step under way, closes all parts. Idempotent. */
  close(): Promise<void>;
}
