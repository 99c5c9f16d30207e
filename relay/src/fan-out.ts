/**
 * Who is in which room at this moment: the members that a committed record is pushed to (LOG4), and that presence is passed on
 * to (PRESENCE). Holds nothing of what passes through.
 */
import type { Head, RoomId, SealedChunk, SealedRecord } from '@driftless/protocol';

export interface Member {
  onCommitted(head: Head, record: SealedRecord, chunks: readonly SealedChunk[]): void;
  onPresence(sealed: Uint8Array): void;
}

export interface FanOut {
  join(room: RoomId, member: Member): void;
  leave(room: RoomId, member: Member): void;
  /** To all members but the author's. Called in the order of the commits. */
  committed(room: RoomId, author: Member, head: Head, record: SealedRecord, chunks: readonly SealedChunk[]): void;
  presence(room: RoomId, author: Member, sealed: Uint8Array): void;
}

export function createFanOut(): FanOut {
  const membersByRoom = new Map<RoomId, Set<Member>>();
  function* others(room: RoomId, author: Member): Generator<Member> {
    for (const member of membersByRoom.get(room) ?? []) if (member !== author) yield member;
  }
  return {
    join(room, member) {
      const members = membersByRoom.get(room) ?? new Set();
      membersByRoom.set(room, members.add(member));
    },
    leave(room, member) {
      const members = membersByRoom.get(room);
      members?.delete(member);
      if (members?.size === 0) membersByRoom.delete(room);
    },
    committed(room, author, head, record, chunks) {
      for (const member of others(room, author)) member.onCommitted(head, record, chunks);
    },
    presence(room, author, sealed) {
      for (const member of others(room, author)) member.onPresence(sealed);
    },
  };
}
