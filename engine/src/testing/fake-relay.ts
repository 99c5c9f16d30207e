/**
 * A scripted relay over the memory transport: an honest handshake, then the answers that a test gives. It keeps chunks and
 * nothing else; the real relay is tested against the real client elsewhere.
 */
import {
  admissionMessage,
  admissionTranscript,
  type ChunkId,
  challengeMessage,
  decodeFrame,
  encodeFrame,
  limits,
  type Message,
  protocolVersion,
  roomIdOf,
  verifyEd25519,
  type Welcome,
} from '@driftless/protocol';
import { type SigningKey, signingKeyFromSeed } from '../crypto/ed25519.ts';
import type { ConnectionRefusal } from '../ports/transport.ts';
import { createMemoryTransport, type MemoryTransport, type ServerEnd } from './memory-transport.ts';

type Reply = Message | readonly Message[] | 'silence';
export interface FakeRelay {
  readonly transport: MemoryTransport;
  readonly key: SigningKey;
  /** Everything that clients sent, in order. */
  readonly received: { readonly channel: number; readonly message: Message }[];
  readonly chunks: Map<ChunkId, Uint8Array>;
  /** Refuses new connections while false, and says why if it answers at all. */
  reachable: boolean;
  refusal: ConnectionRefusal | undefined;
  /** Answers a message before the default does; undefined leaves it to the default. */
  script: (message: Message, end: ServerEnd, channel: number) => Reply | undefined;
  welcome: Omit<Welcome, 'kind'>;
  send(channel: number, message: Message): void;
  /** Replaces the identity. */
  rekey(seedByte: number): void;
}

export function createFakeRelay(): FakeRelay {
  const hellos = new Map<
    ServerEnd,
    Map<number, { hello: Message & { kind: 'hello' }; helloFrame: Uint8Array; challengeFrame: Uint8Array }>
  >();
  let key = signingKeyFromSeed(new Uint8Array(32).fill(1));

  const send = (end: ServerEnd, channel: number, message: Message): Uint8Array => {
    const bytes = encodeFrame({ channel, message });
    end.send(bytes);
    return bytes;
  };
  const challengeFor = (
    end: ServerEnd,
    channel: number,
    hello: Message & { kind: 'hello' },
    helloFrame: Uint8Array,
  ): void => {
    const fields = {
      relayRandom: new Uint8Array(32).fill(5),
      relayKey: key.publicKey,
      version: protocolVersion,
      features: 0,
    };
    const signature = key.sign(challengeMessage(helloFrame, fields));
    const challengeFrame = send(end, channel, { kind: 'challenge', ...fields, signature });
    const channels = hellos.get(end) ?? new Map();
    hellos.set(end, channels.set(channel, { hello, helloFrame, challengeFrame }));
  };
  const admit = (end: ServerEnd, channel: number, proof: Message & { kind: 'proof' }): Message => {
    const greeting = hellos.get(end)?.get(channel);
    if (greeting === undefined) throw new Error('a proof without a hello');
    const { hello, helloFrame, challengeFrame } = greeting;
    const { readerKey, writerKey, signature } = proof;
    const transcript = admissionTranscript({ helloFrame, challengeFrame, readerKey, writerKey });
    const admitted =
      roomIdOf(readerKey, writerKey) === hello.room &&
      verifyEd25519(hello.role === 'writer' ? writerKey : readerKey, admissionMessage(transcript), signature);
    return admitted ? { kind: 'welcome', ...relay.welcome } : { kind: 'channelError', request: 0, code: 3, detail: '' };
  };
  const byDefault = (end: ServerEnd, channel: number, message: Message, frame: Uint8Array): Message | undefined => {
    switch (message.kind) {
      case 'hello':
        challengeFor(end, channel, message, frame);
        return undefined;
      case 'proof':
        return admit(end, channel, message);
      case 'ping':
        return { kind: 'pong', token: message.token };
      case 'putChunks':
        for (const chunk of message.chunks) relay.chunks.set(chunk.id, chunk.sealed);
        return { kind: 'chunksStored', request: message.request };
      case 'haveChunks':
        return { kind: 'chunksHeld', request: message.request, held: message.ids.map((id) => relay.chunks.has(id)) };
      case 'getChunks':
        return pageFor(message, relay.chunks);
      default:
        return undefined;
    }
  };

  const transport = createMemoryTransport((end) => {
    if (!relay.reachable) {
      end.close('refused', relay.refusal);
      return false;
    }
    end.onFrame = (bytes) => {
      const decoded = decodeFrame(bytes);
      if (!decoded.ok) throw new Error(`the client sent a frame that does not decode: ${decoded.error.kind}`);
      const { channel, message } = decoded.value;
      relay.received.push({ channel, message });
      const scripted = relay.script(message, end, channel);
      if (scripted === 'silence') return;
      const replies = scripted === undefined ? [byDefault(end, channel, message, bytes)] : [scripted].flat();
      for (const reply of replies) if (reply !== undefined) send(end, channel, reply);
    };
    return true;
  });

  const relay: FakeRelay = {
    transport,
    get key() {
      return key;
    },
    received: [],
    chunks: new Map(),
    reachable: true,
    refusal: undefined,
    script: () => undefined,
    welcome: {
      head: null,
      floor: 0,
      holdsKnown: true,
      putWindowBytes: limits.putWindowBytes,
      storeId: new Uint8Array(16),
    },
    send(channel, message) {
      for (const end of transport.open) send(end, channel, message);
    },
    rekey(seedByte) {
      key = signingKeyFromSeed(new Uint8Array(32).fill(seedByte));
    },
  };
  return relay;
}

function pageFor(
  { request, ids, bytesMax }: Message & { kind: 'getChunks' },
  held: ReadonlyMap<ChunkId, Uint8Array>,
): Message {
  const chunks: { readonly id: ChunkId; readonly sealed: Uint8Array }[] = [];
  const missing: ChunkId[] = [];
  let bytes = 0;
  for (const id of ids) {
    const sealed = held.get(id);
    if (sealed === undefined) missing.push(id);
    else {
      bytes += sealed.length;
      if (chunks.length > 0 && bytes > bytesMax) break;
      chunks.push({ id, sealed });
    }
  }
  return { kind: 'chunksPage', request, chunks, missing };
}
