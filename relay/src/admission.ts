/** Who may open a channel (rules ADM1, ADM2, EPOCH): pure decisions over the handshake's exact bytes. */
import {
  admissionMessage,
  admissionTranscript,
  equalBytes,
  type Hello,
  type Proof,
  roomIdOf,
  verifyEd25519,
} from '@driftless/protocol';
import type { RoomState } from './store/room-store.ts';

/** Whether the proof was made with the admission key of the hello's role and room. The same work whatever is wrong. */
export function isProofValid(parts: {
  readonly hello: Hello;
  readonly helloFrame: Uint8Array;
  readonly challengeFrame: Uint8Array;
  readonly proof: Proof;
}): boolean {
  const { hello, helloFrame, challengeFrame, proof } = parts;
  const { readerKey, writerKey, signature } = proof;
  const isRoomsPair = roomIdOf(readerKey, writerKey) === hello.room;
  const transcript = admissionTranscript({ helloFrame, challengeFrame, readerKey, writerKey });
  const roleKey = hello.role === 'writer' ? writerKey : readerKey;
  const isSigned = verifyEd25519(roleKey, admissionMessage(transcript), signature);
  return isRoomsPair && isSigned;
}

/**
 * Whether the holder of a valid proof may come in. A room without a log is open to a writer, whose first append or seed makes
 * it; to a reader it does not exist.
 */
export function isAdmitted(hello: Hello, proof: Proof, room: RoomState | null): boolean {
  if (room !== null) {
    const isCurrentPair =
      equalBytes(room.keys.reader, proof.readerKey) && equalBytes(room.keys.writer, proof.writerKey);
    if (!isCurrentPair) return false;
  }
  return hello.role === 'writer' || (room !== null && room.head !== null);
}
