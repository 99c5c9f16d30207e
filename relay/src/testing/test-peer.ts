/** For tests: the far end of a socket, which speaks the protocol exactly as far as it is told to. */
import { sign } from 'node:crypto';
import {
  admissionMessage,
  admissionTranscript,
  decodeFrame,
  encodeFrame,
  features,
  type Head,
  type Message,
  protocolVersion,
  type Role,
  type Welcome,
} from '@driftless/protocol';
import { WebSocket } from 'ws';
import type { SampleRoom } from './sample-room.ts';

export interface TestPeer {
  readonly socket: WebSocket;
  send(channel: number, message: Message): void;
  sendBytes(bytes: Uint8Array): void;
  /** The next message of the channel; those of other channels stay queued. Rejects when the connection has ended. */
  next(channel: number): Promise<Message>;
  /** The next message of that kind; others of the channel before it are dropped. */
  nextOf<Kind extends Message['kind']>(channel: number, kind: Kind): Promise<Message & { readonly kind: Kind }>;
  /** Resolves with the close code. */
  readonly closed: Promise<number>;
  /** Hello, challenge, proof; resolves with the answer to the proof. */
  join(channel: number, room: SampleRoom, options?: JoinOptions): Promise<Message>;
  /** As join, where a welcome is expected. */
  enter(channel: number, room: SampleRoom, options?: JoinOptions): Promise<Welcome>;
  close(): void;
}
export interface JoinOptions {
  readonly role?: Role;
  readonly known?: Head | null;
  readonly pushCreditBytes?: number;
  /** Changes the proof before it is sent. */
  readonly tamper?: (proof: Message & { readonly kind: 'proof' }) => Message;
}

/** `localAddress`: the client's own, where a machine has several (on Linux all of 127.0.0.0/8). */
export async function testPeer(
  url: string,
  headers: Readonly<Record<string, string>> = {},
  localAddress?: string,
): Promise<TestPeer> {
  const socket = new WebSocket(url, {
    perMessageDeflate: false,
    headers,
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  socket.binaryType = 'nodebuffer';
  const arrived: { readonly channel: number; readonly message: Message; readonly bytes: Uint8Array }[] = [];
  let wake: (() => void)[] = [];
  let over = false;
  const closed = new Promise<number>((resolve) => {
    socket.on('close', (code) => {
      over = true;
      wakeAll();
      resolve(code);
    });
  });
  function wakeAll(): void {
    const waiting = wake;
    wake = [];
    for (const resume of waiting) resume();
  }
  socket.on('message', (data: Buffer) => {
    const frame = decodeFrame(data);
    if (!frame.ok) throw new Error(`the relay sent a frame that does not decode: ${frame.error.kind}`);
    arrived.push({ ...frame.value, bytes: new Uint8Array(data) });
    wakeAll();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', () => resolve());
    socket.once('error', reject);
  });
  socket.on('error', () => {});

  async function nextFrame(channel: number) {
    for (;;) {
      const index = arrived.findIndex((frame) => frame.channel === channel);
      const [found] = index === -1 ? [] : arrived.splice(index, 1);
      if (found !== undefined) return found;
      if (over) throw new Error('the connection has ended');
      await new Promise<void>((resolve) => wake.push(resolve));
    }
  }
  const sendBytes = (bytes: Uint8Array): void => socket.send(bytes);

  const peer: TestPeer = {
    socket,
    closed,
    sendBytes,
    send: (channel, message) => sendBytes(encodeFrame({ channel, message })),
    next: async (channel) => (await nextFrame(channel)).message,
    async nextOf(channel, kind) {
      for (;;) {
        const { message } = await nextFrame(channel);
        if (message.kind === kind) return message as Message & { readonly kind: typeof kind };
      }
    },
    async join(channel, room, { role = 'writer', known = null, pushCreditBytes = 1_000_000, tamper } = {}) {
      const helloFrame = encodeFrame({
        channel,
        message: {
          kind: 'hello',
          clientRandom: new Uint8Array(32).fill(7),
          versions: [protocolVersion],
          features,
          room: room.id,
          role,
          known,
          pushCreditBytes,
        },
      });
      sendBytes(helloFrame);
      const challenge = await nextFrame(channel);
      if (challenge.message.kind !== 'challenge') return challenge.message;
      const proof = proofFor(room, role, helloFrame, challenge.bytes);
      sendBytes(encodeFrame({ channel, message: tamper === undefined ? proof : tamper(proof) }));
      return (await nextFrame(channel)).message;
    },
    async enter(channel, room, options) {
      const answer = await peer.join(channel, room, options);
      if (answer.kind !== 'welcome') throw new Error(`not welcome: ${JSON.stringify(answer)}`);
      return answer;
    },
    close: () => socket.terminate(),
  };
  return peer;
}

export function proofFor(room: SampleRoom, role: Role, helloFrame: Uint8Array, challengeFrame: Uint8Array) {
  const { reader: readerKey, writer: writerKey } = room.keys;
  const transcript = admissionTranscript({ helloFrame, challengeFrame, readerKey, writerKey });
  const key = role === 'writer' ? room.writerKey : room.readerKey;
  const signature = new Uint8Array(sign(null, admissionMessage(transcript), key));
  return { kind: 'proof', readerKey, writerKey, signature } as const;
}
