/**
 * A connection that carries whole binary frames in order. Delivery ends when the connection does; nothing is resent.
 * One connection serves all rooms of a relay.
 */
/** None is called before `connect` has returned. */
export interface TransportHandlers {
  onOpen(): void;
  onFrame(bytes: Uint8Array): void;
  /** Bytes arrived, perhaps not yet a whole frame: a slow link shows that it lives (W6). */
  onActivity(): void;
  /** Called exactly once, also when opening failed. `reason` is for people. */
  onClose(info: { readonly reason: string; readonly refusal?: ConnectionRefusal }): void;
}
/** Who answers at the address does not want the connection, or no longer: `code` of the protocol's close codes. */
export interface ConnectionRefusal {
  readonly code: number;
  /** What it says about it, for people; perhaps empty. */
  readonly detail: string;
}
export interface Connection {
  /** Queues a frame. Call only between onOpen and onClose. */
  send(bytes: Uint8Array): void;
  /** Bytes queued and not yet handed to the system. */
  bufferedBytes(): number;
  /** Resolves when bufferedBytes is below `bytes`, or the connection has ended. */
  drained(bytes: number): Promise<void>;
  close(): void;
}
export interface Transport {
  connect(url: string, handlers: TransportHandlers): Connection;
}
