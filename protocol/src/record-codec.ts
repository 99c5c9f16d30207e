/**
 * Records, checkpoints and presence: their headers and plain bodies to bytes and back (rules LOG1, LOG3, SEAL2, CP1,
 * PRESENCE). Sealing and signing is the cipher's; the relay decodes headers only.
 */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { bytesToHex, bytesToUtf8, clipText, hexToBytes, plainView, utf8ToBytes } from './bytes.ts';
import type { Change, MassDeletion, RecordBody, RecordOutline } from './change.ts';
import type { Content, Entry } from './entry.ts';
import type * as wire from './gen/driftless_pb.js';
import {
  ChangeSchema,
  CheckpointBodySchema,
  ContentSchema,
  EntrySchema,
  PresenceBodySchema,
  RecordBodySchema,
  RecordCoreSchema,
  RecordHeaderSchema,
  MassDeletion as WireMassDeletion,
} from './gen/driftless_pb.js';
import type { RecordId, RelPath } from './ids.ts';
import { limits } from './limits.ts';
import type { RecordHeader } from './record.ts';
import { isRelPath } from './rel-path.ts';
import type { Result } from './result.ts';
import type { CheckpointBody, PresenceBody, PresenceEcho } from './sealed-bodies.ts';
import {
  attempt,
  bad,
  check,
  checkedBytes,
  checkFields,
  checkLimit,
  type DecodeFailure,
  type FieldLimits,
  idFrom,
  idsFrom,
  idsToBytes,
  integerFrom,
  integerToWire,
  Malformed,
  present,
  sized,
  textFrom,
  timeFrom,
  timeToWire,
  withoutField,
} from './wire-values.ts';

export type { DecodeFailure } from './wire-values.ts';

/** Of messages without lists. A later version may add a few. */
const fewFields: FieldLimits = { countMax: 64, unknownMax: 32 };

// ── header ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The part of a header that the seal and the author's signature are bound to: all but what follows from the sealed body. */
export type RecordCore = Omit<RecordHeader, 'bodyHash' | 'bodyChunks'>;

/** SHA-256 of the header's bytes as they stand (rule LOG1). */
export function recordIdOf(header: Uint8Array): RecordId {
  return hash('sha256', header, 'hex') as RecordId;
}

export function encodeRecordCore(core: RecordCore): Uint8Array {
  return toBinary(
    RecordCoreSchema,
    create(RecordCoreSchema, {
      version: core.version,
      kind: core.kind,
      minReader: core.minReader,
      room: idsToBytes([core.room], 1),
      epoch: core.epoch,
      height: integerToWire(core.height),
      prev: idsToBytes([core.prev], 1),
      nonce: sized(core.nonce, 16),
      adds: idsToBytes(core.adds, limits.addsInlineMax),
      addsLists: idsToBytes(core.addsLists, limits.addsListsMax),
    }),
  );
}

/** Puts a header around an encoded core once the sealed body is known. */
export function encodeRecordHeaderAround(
  core: Uint8Array,
  body: Pick<RecordHeader, 'bodyHash' | 'bodyChunks'>,
): Uint8Array {
  const bytes = toBinary(
    RecordHeaderSchema,
    create(RecordHeaderSchema, {
      core,
      bodyHash: sized(body.bodyHash, 32),
      bodyChunks: idsToBytes(body.bodyChunks, limits.bodyPiecesMax),
    }),
  );
  assert(bytes.length <= limits.headerBytesMax);
  return bytes;
}

export function encodeRecordHeader(header: RecordHeader): Uint8Array {
  return encodeRecordHeaderAround(encodeRecordCore(header), header);
}

/** Never throws. Says nothing of versions: a header of a later version decodes as far as its fields are known (rule LOG3). */
export function decodeRecordHeader(bytes: Uint8Array): Result<RecordHeader, DecodeFailure> {
  return attempt(() => {
    checkLimit(bytes.length, limits.headerBytesMax, 'header');
    const view = plainView(bytes);
    checkFields(RecordHeaderSchema, view, fewFields);
    const wireHeader = fromBinary(RecordHeaderSchema, view);
    checkFields(RecordCoreSchema, wireHeader.core, fewFields);
    const core = fromBinary(RecordCoreSchema, wireHeader.core);
    const height = integerFrom(core.height, 'height');
    check(height >= 1, 'height is zero');
    return {
      version: core.version,
      kind: core.kind,
      minReader: core.minReader,
      room: idFrom(core.room, 'room'),
      epoch: core.epoch,
      height,
      prev: idFrom(core.prev, 'prev'),
      nonce: checkedBytes(core.nonce, 16, 'nonce'),
      bodyHash: checkedBytes(wireHeader.bodyHash, 32, 'body hash'),
      bodyChunks: idsFrom(wireHeader.bodyChunks, limits.bodyPiecesMax, 'body chunks'),
      adds: idsFrom(core.adds, limits.addsInlineMax, 'adds'),
      addsLists: idsFrom(core.addsLists, limits.addsListsMax, 'adds lists'),
    };
  });
}

/** The core's bytes exactly as they stand in a header; undefined when it does not decode. */
export function recordCoreOf(header: Uint8Array): Uint8Array | undefined {
  const decoded = attempt(() => fromBinary(RecordHeaderSchema, plainView(header)).core);
  return decoded.ok ? decoded.value : undefined;
}

// ── body ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

export function encodeRecordBody(body: RecordBody): Uint8Array {
  assert(body.changes.length <= limits.changesMax);
  const bytes = toBinary(
    RecordBodySchema,
    create(RecordBodySchema, {
      device: hexToBytes(body.device),
      deviceName: clipText(body.deviceName, limits.deviceNameBytesMax),
      timeMs: timeToWire(body.timeMs),
      label: clipText(body.label, limits.labelBytesMax),
      massDeletion: massDeletionToWire[body.massDeletion],
      root: hexToBytes(body.root),
      changes: body.changes.map(changeToWire),
    }),
  );
  assert(bytes.length <= limits.bodyBytesMax);
  return bytes;
}

/** A put of a file is 15 fields, the change itself included. A later version may add two to each change. */
const bodyFields: FieldLimits = { countMax: 20 * limits.changesMax, unknownMax: 2 * limits.changesMax };

/** Never throws. An unknown change or entry kind is `update-needed`, never a void record (rule LOG3). */
export function decodeRecordBody(bytes: Uint8Array): Result<RecordBody, DecodeFailure> {
  return attempt(() => {
    checkLimit(bytes.length, limits.bodyBytesMax, 'body');
    const view = plainView(bytes);
    checkFields(RecordBodySchema, view, bodyFields);
    const body = fromBinary(RecordBodySchema, view);
    checkLimit(body.changes.length, limits.changesMax, 'changes');
    const outline = outlineFrom(body);
    return { ...outline, massDeletion: massDeletionFrom(body.massDeletion), changes: body.changes.map(changeFrom) };
  });
}

/** What every version states of a record, whatever its changes are (rule LOG2). Never throws. */
export function decodeRecordOutline(bytes: Uint8Array): Result<RecordOutline, DecodeFailure> {
  return attempt(() => {
    checkLimit(bytes.length, limits.bodyBytesMax, 'body');
    const view = withoutField(plainView(bytes), RecordBodySchema.field.changes.number);
    checkFields(RecordBodySchema, view, fewFields);
    return outlineFrom(fromBinary(RecordBodySchema, view));
  });
}

function outlineFrom(body: wire.RecordBody): RecordOutline {
  return {
    device: idFrom(body.device, 'device'),
    deviceName: textFrom(body.deviceName, limits.deviceNameBytesMax, 'device name'),
    timeMs: timeFrom(body.timeMs, 'time'),
    label: textFrom(body.label, limits.labelBytesMax, 'label'),
    root: idFrom(body.root, 'root'),
  };
}

const massDeletionToWire: Readonly<Record<MassDeletion, WireMassDeletion>> = {
  none: WireMassDeletion.NONE,
  confirmed: WireMassDeletion.CONFIRMED,
  git: WireMassDeletion.GIT,
};

function massDeletionFrom(value: WireMassDeletion): MassDeletion {
  switch (value) {
    case WireMassDeletion.NONE:
      return 'none';
    case WireMassDeletion.CONFIRMED:
      return 'confirmed';
    case WireMassDeletion.GIT:
      return 'git';
    default:
      throw new Malformed('update-needed', 'an unknown way of confirming a deletion');
  }
}

function changeToWire(change: Change): wire.Change {
  return create(ChangeSchema, { change: changeCaseToWire(change) });
}

function changeCaseToWire(change: Change) {
  switch (change.kind) {
    case 'put':
      return {
        case: 'put' as const,
        value: {
          path: pathToWire(change.path),
          entry: entryToWire(change.entry),
          mtimeMs: timeToWire(change.mtimeMs),
          replaces: change.replaces === null ? empty : sized(hexToBytes(change.replaces), 16),
        },
      };
    case 'remove':
      return {
        case: 'remove' as const,
        value: { path: pathToWire(change.path), replaces: sized(hexToBytes(change.replaces), 16) },
      };
    case 'mode':
      return {
        case: 'mode' as const,
        value: {
          path: pathToWire(change.path),
          executable: change.mode.executable,
          private: change.mode.private,
          replaces: sized(hexToBytes(change.replaces), 16),
        },
      };
    case 'move':
      return {
        case: 'move' as const,
        value: {
          fromPath: pathToWire(change.fromPath),
          toPath: pathToWire(change.toPath),
          subtree: change.subtree,
        },
      };
    case 'untrack':
      return { case: 'untrack' as const, value: { path: pathToWire(change.path), subtree: change.subtree } };
    case 'variant':
      return {
        case: 'variant' as const,
        value: {
          path: pathToWire(change.path),
          entry: entryToWire(change.entry),
          mtimeMs: timeToWire(change.mtimeMs),
          baseDigest: change.baseDigest === null ? empty : sized(hexToBytes(change.baseDigest), 32),
        },
      };
    case 'resolve':
      assert(change.variants.length <= limits.variantsPerResolveMax);
      return {
        case: 'resolve' as const,
        value: { path: pathToWire(change.path), variantIds: hexToBytes(change.variants.join('')) },
      };
    case 'forget':
      return { case: 'forget' as const, value: { path: pathToWire(change.path) } };
    case 'skip':
      return { case: 'skip' as const, value: { record: sized(hexToBytes(change.record), 32) } };
  }
}

function changeFrom(wireChange: wire.Change): Change {
  const { change } = wireChange;
  switch (change.case) {
    case undefined:
      if ((wireChange.$unknown ?? []).length === 0) bad('an empty change');
      throw new Malformed('update-needed', 'an unknown kind of change');
    case 'put':
      return {
        kind: 'put',
        path: pathFrom(change.value.path),
        entry: entryFrom(change.value.entry),
        mtimeMs: timeFrom(change.value.mtimeMs, 'modification time'),
        replaces: change.value.replaces.length === 0 ? null : idFrom(change.value.replaces, 'replaces', 16),
      };
    case 'remove':
      return {
        kind: 'remove',
        path: pathFrom(change.value.path),
        replaces: idFrom(change.value.replaces, 'replaces', 16),
      };
    case 'mode':
      return {
        kind: 'mode',
        path: pathFrom(change.value.path),
        mode: { executable: change.value.executable, private: change.value.private },
        replaces: idFrom(change.value.replaces, 'replaces', 16),
      };
    case 'move':
      return {
        kind: 'move',
        fromPath: pathFrom(change.value.fromPath),
        toPath: pathFrom(change.value.toPath),
        subtree: change.value.subtree,
      };
    case 'untrack':
      return { kind: 'untrack', path: pathFrom(change.value.path), subtree: change.value.subtree };
    case 'variant':
      return {
        kind: 'variant',
        path: pathFrom(change.value.path),
        entry: entryFrom(change.value.entry),
        mtimeMs: timeFrom(change.value.mtimeMs, 'modification time'),
        baseDigest: change.value.baseDigest.length === 0 ? null : idFrom(change.value.baseDigest, 'base digest'),
      };
    case 'resolve':
      return {
        kind: 'resolve',
        path: pathFrom(change.value.path),
        variants: idsFrom(change.value.variantIds, limits.variantsPerResolveMax, 'variants', 8),
      };
    case 'forget':
      return { kind: 'forget', path: pathFrom(change.value.path) };
    case 'skip':
      return { kind: 'skip', record: idFrom(change.value.record, 'skipped record') };
  }
}

const empty = new Uint8Array(0);

function pathToWire(path: RelPath): Uint8Array {
  assert(isRelPath(path));
  return utf8ToBytes(path);
}

function pathFrom(bytes: Uint8Array): RelPath {
  const text = bytesToUtf8(bytes);
  if (text === undefined || !isRelPath(text)) return bad('an invalid path');
  return text;
}

function entryToWire(entry: Entry): wire.Entry {
  switch (entry.kind) {
    case 'file': {
      const value = {
        content: contentToWire(entry.content),
        executable: entry.executable,
        private: entry.private,
      };
      return create(EntrySchema, { entry: { case: 'file', value } });
    }
    case 'directory':
      return create(EntrySchema, { entry: { case: 'directory', value: {} } });
    case 'symlink': {
      const target = utf8ToBytes(entry.target);
      assert(isTarget(entry.target));
      return create(EntrySchema, { entry: { case: 'symlink', value: { target } } });
    }
  }
}

function entryFrom(wireEntry: wire.Entry | undefined): Entry {
  const { entry, $unknown } = present(wireEntry, 'entry');
  switch (entry.case) {
    case undefined:
      if (($unknown ?? []).length === 0) bad('an empty entry');
      throw new Malformed('update-needed', 'an unknown kind of entry');
    case 'file':
      return {
        kind: 'file',
        content: contentFrom(entry.value.content),
        executable: entry.value.executable,
        private: entry.value.private,
      };
    case 'directory':
      return { kind: 'directory' };
    case 'symlink': {
      const target = bytesToUtf8(entry.value.target);
      if (target === undefined || !isTarget(target)) return bad('an invalid link target');
      return { kind: 'symlink', target };
    }
  }
}

/** Whether it leads outside the root is for the folder to judge: it depends on the link's place. */
function isTarget(target: string): boolean {
  if (target === '' || target.includes('\0') || !target.isWellFormed()) return false;
  return target.length <= limits.targetBytesMax && utf8ToBytes(target).length <= limits.targetBytesMax;
}

function contentToWire(content: Content): wire.Content {
  assert(content.refs.depth <= limits.refsDepthMax);
  return create(ContentSchema, {
    digest: sized(hexToBytes(content.digest), 32),
    size: integerToWire(content.size),
    epoch: content.epoch,
    depth: content.refs.depth,
    refIds: idsToBytes(content.refs.ids, limits.refsMax),
  });
}

function contentFrom(wireContent: wire.Content | undefined): Content {
  const { digest, size, epoch, depth, refIds } = present(wireContent, 'content');
  checkLimit(depth, limits.refsDepthMax, 'depth of references');
  check(size <= BigInt(limits.contentBytesMax), 'a content is too large');
  const content: Content = {
    digest: idFrom(digest, 'digest'),
    size: integerFrom(size, 'size'),
    epoch,
    refs: { depth, ids: idsFrom(refIds, limits.refsMax, 'references') },
  };
  check((content.size === 0) === (content.refs.ids.length === 0), 'size and references disagree');
  return content;
}

// ── checkpoint and presence ──────────────────────────────────────────────────────────────────────────────────────────

export function encodeCheckpointBody(body: CheckpointBody): Uint8Array {
  return toBinary(
    CheckpointBodySchema,
    create(CheckpointBodySchema, {
      height: integerToWire(body.height),
      recordId: hexToBytes(body.recordId),
      root: hexToBytes(body.root),
      pages: contentToWire(body.pages),
      device: hexToBytes(body.device),
    }),
  );
}

/** Never throws. */
export function decodeCheckpointBody(bytes: Uint8Array): Result<CheckpointBody, DecodeFailure> {
  return attempt(() => {
    checkLimit(bytes.length, limits.checkpointSealedBytesMax, 'checkpoint');
    const view = plainView(bytes);
    checkFields(CheckpointBodySchema, view, fewFields);
    const body = fromBinary(CheckpointBodySchema, view);
    return {
      height: integerFrom(body.height, 'height'),
      recordId: idFrom(body.recordId, 'record id'),
      root: idFrom(body.root, 'root'),
      pages: contentFrom(body.pages),
      device: idFrom(body.device, 'device'),
    };
  });
}

export function encodePresenceBody(body: PresenceBody): Uint8Array {
  return toBinary(
    PresenceBodySchema,
    create(PresenceBodySchema, {
      device: hexToBytes(body.device),
      deviceName: clipText(body.deviceName, limits.deviceNameBytesMax),
      run: sized(hexToBytes(body.run), 8),
      n: integerToWire(body.n),
      height: integerToWire(body.height),
      recordId: body.recordId === null ? empty : hexToBytes(body.recordId),
      state: clipText(body.state, limits.labelBytesMax),
      asks: body.asks.slice(0, limits.presenceAsksMax).map((id) => sized(hexToBytes(id), 32)),
      root: sized(hexToBytes(body.root), 32),
      echoes: body.echoes
        .slice(0, limits.presenceEchoesMax)
        .map(({ who, n }) => ({ who: sized(hexToBytes(who), 8), n: integerToWire(n) })),
      editing: body.editing.slice(0, limits.presenceEditingMax).map((path) => sized(hexToBytes(path), 16)),
    }),
  );
}

/** Each once, and lists of up to their limits, an echo of three; a newer version may add a few. */
const presenceFields: FieldLimits = {
  countMax: limits.presenceAsksMax + 3 * limits.presenceEchoesMax + limits.presenceEditingMax + 64,
  unknownMax: 32,
};

function idListFrom(ids: readonly Uint8Array[], countMax: number, bytes: number, what: string): readonly string[] {
  checkLimit(ids.length, countMax, what);
  return ids.map((id) => bytesToHex(checkedBytes(id, bytes, what)));
}

function echoesFrom(echoes: readonly wire.Echo[]): readonly PresenceEcho[] {
  checkLimit(echoes.length, limits.presenceEchoesMax, 'echoes');
  return echoes.map(({ who, n }) => ({ who: bytesToHex(checkedBytes(who, 8, 'echo')), n: integerFrom(n, 'echo') }));
}

/** Never throws. */
export function decodePresenceBody(bytes: Uint8Array): Result<PresenceBody, DecodeFailure> {
  return attempt(() => {
    checkLimit(bytes.length, limits.presenceBytesMax, 'presence');
    const view = plainView(bytes);
    checkFields(PresenceBodySchema, view, presenceFields);
    const body = fromBinary(PresenceBodySchema, view);
    return {
      device: idFrom(body.device, 'device'),
      deviceName: textFrom(body.deviceName, limits.deviceNameBytesMax, 'device name'),
      run: bytesToHex(checkedBytes(body.run, 8, 'run')),
      n: integerFrom(body.n, 'n'),
      height: integerFrom(body.height, 'height'),
      recordId: body.recordId.length === 0 ? null : idFrom(body.recordId, 'record id'),
      state: textFrom(body.state, limits.labelBytesMax, 'state'),
      asks: idListFrom(body.asks, limits.presenceAsksMax, 32, 'asks'),
      root: idFrom(body.root, 'root'),
      echoes: echoesFrom(body.echoes),
      editing: idListFrom(body.editing, limits.presenceEditingMax, 16, 'editing'),
    };
  });
}
