/**
 * A record that the relay does not give as its writer made it (rule LOG2): damaged in its store or on the way, made up, or without
 * a piece of its body. Nothing follows from such bytes, not even that the log went another way: the record is asked for again, and
 * any peer that holds it can put it back.
 */
import type { ChunkId, RecordId } from '@driftless/protocol';
import type { Halt } from '../core/peer-state.ts';

/** A damaged record is fetched so often, each time on a new connection, before anybody is told. */
const connectionsTried = 3;
/** After so many attempts nobody who is there has put it back. */
const attemptsWaited = 6;

export class RecordUnreadable extends Error {
  readonly halt: Halt;
  /** What other peers may hold of it: pieces of its body, or the record that comes after this id. */
  readonly asks: readonly (ChunkId | RecordId)[];
  /** Bytes that came otherwise on this connection may come whole on another one. */
  readonly wantsOtherConnection: boolean;
  /** What comes after it is worth going on from, where a checkpoint leads there. */
  readonly isLasting: boolean;

  constructor(options: {
    readonly height: number;
    readonly reason: string;
    readonly kind: 'damaged' | 'incomplete';
    readonly asks: readonly (ChunkId | RecordId)[];
    /** In a row, this one included. */
    readonly times: number;
  }) {
    const { height, reason, kind, asks, times } = options;
    const what =
      kind === 'damaged' ? `the relay holds a damaged record ${height}` : `the relay lost a part of record ${height}`;
    super(`${what}: ${reason}`);
    this.name = 'RecordUnreadable';
    this.asks = asks;
    this.wantsOtherConnection = kind === 'damaged' && times < connectionsTried;
    this.isLasting = times >= attemptsWaited;
    this.halt = {
      code: 'relay-damaged',
      reason: this.message,
      next: 'start Driftless on a device that has it: it is put back from there by itself; it is tried again until then',
    };
  }
}
