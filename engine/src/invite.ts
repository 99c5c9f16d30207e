/** What joins a peer to a room. First form: it carries the room secret itself, and the text around it says so. */
import type { DeviceId, RoomId } from '@driftless/protocol';

export interface Invite {
  /** The device that gave it, by its own word: whoever made the text could write any name. At most 64 bytes. */
  readonly from: string;
  /** That device's key: what it says of the room's content, the joining device believes (rule CP2). null: it is no device of the room. */
  readonly device: DeviceId | null;
  /** Relay addresses, tried in order. */
  readonly urls: readonly string[];
  /** The relay's pinned Ed25519 identity; null when the room was shared before the relay was ever reached (pinned at first contact). */
  readonly relayKey: Uint8Array | null;
  readonly room: RoomId;
  readonly epoch: number;
  /** 32 bytes. Never logged. */
  readonly secret: Uint8Array;
}
