/**
 * Whole peers in a model: random work on two or three disks, in any order with pulls and appends, then quiet. Quotes the
 * invariants of the fault model: convergence, no lost bytes, no resurrection, causality, no echo.
 */
import type { RelPath } from '@driftless/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rel } from './test-support/entries.ts';
import { type Disk, ModelPeer, ModelRoom, type Node } from './test-support/model-room.ts';
import { ancestorsOf, parentPath } from './tree-paths.ts';

const names = ['a', 'b', 'c', 'x.txt', 'y.txt', 'z.bin'] as const;
const kinds = [
  'write',
  'write',
  'append',
  'append',
  'delete',
  'rename',
  'renameDirectory',
  'mkdir',
  'removeTree',
  'chmod',
  'flip',
  'copy',
  'link',
] as const;

type Step =
  | { readonly kind: 'turn'; readonly peer: number; readonly unsettled: number; readonly loseAck: boolean }
  | { readonly kind: 'pull'; readonly peer: number }
  | { readonly kind: (typeof kinds)[number]; readonly peer: number; readonly at: number; readonly to: number };

const pick = fc.nat({ max: 1_000 });
const stepOf = (peers: number): fc.Arbitrary<Step> =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constantFrom(...kinds), peer: fc.nat({ max: peers - 1 }), at: pick, to: pick }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant('turn' as const),
        peer: fc.nat({ max: peers - 1 }),
        unsettled: fc.nat({ max: 6 }),
        loseAck: fc.boolean(),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('pull' as const), peer: fc.nat({ max: peers - 1 }) }) },
  );

/** What users did with each tag; a tag is a line that was written once. */
interface Ledger {
  next: number;
  readonly written: Map<string, number>;
  readonly ended: Map<string, Set<number>>;
  readonly endedAt: Map<string, Set<RelPath>>;
  readonly touched: Map<string, Set<number>>;
  /** Stand at several paths, also as conflict copies that a user took up: what is said of one end does not hold for the tag. */
  readonly copied: Set<string>;
}

const tagsOf = (node: Node | undefined): string[] =>
  node?.kind === 'file' ? node.text.split('\n').filter((tag) => tag !== '') : [];

class World {
  readonly room = new ModelRoom();
  readonly peers: ModelPeer[];
  readonly ledger: Ledger = {
    next: 0,
    written: new Map(),
    ended: new Map(),
    endedAt: new Map(),
    touched: new Map(),
    copied: new Set(),
  };

  constructor(count: number, ignoredByFirst: (path: RelPath) => boolean = () => false) {
    this.peers = Array.from(
      { length: count },
      (_, index) => new ModelPeer(`p${index}`, this.room, index === 0 ? { ignored: ignoredByFirst } : {}),
    );
  }

  run(steps: readonly Step[]): void {
    for (const step of steps) this.step(step);
  }

  private step(step: Step): void {
    const peer = this.peers[step.peer] as ModelPeer;
    if (step.kind === 'pull') return peer.pull();
    if (step.kind !== 'turn') return this.user(step, peer.disk);
    if (peer.waitsForAck) return peer.pull();
    // Some paths are still changing, by a rule that is fixed for the turn.
    const settled = (path: RelPath): boolean => step.unsettled > 2 || (path.length + step.unsettled) % 3 !== 0;
    peer.turn({ settled, loseAck: step.loseAck });
  }

  /** Turns until nobody has anything to do. Returns how many rounds it took. */
  settle(roundsMax: number): number {
    for (let round = 1; round <= roundsMax; round += 1) {
      let any = false;
      for (const peer of this.peers) {
        const behind = peer.pulled < this.room.height;
        peer.pull();
        any = peer.turn() || behind || any;
      }
      if (!any) return round;
    }
    throw new Error(
      `not quiet after ${roundsMax} rounds: ${this.peers.map((peer) => JSON.stringify(peer.plan())).join('\n')}`,
    );
  }

  private fresh(peer: number): string {
    const tag = `t${this.ledger.next}`;
    this.ledger.next += 1;
    this.ledger.written.set(tag, peer);
    return tag;
  }
  private note(where: Map<string, Set<number>>, tags: readonly string[], peer: number): void {
    for (const tag of tags) where.set(tag, (where.get(tag) ?? new Set()).add(peer));
  }

  private end(tags: readonly string[], peer: number, path: RelPath): void {
    this.note(this.ledger.ended, tags, peer);
    for (const tag of tags) this.ledger.endedAt.set(tag, (this.ledger.endedAt.get(tag) ?? new Set()).add(path));
  }

  private user({ kind, peer, at, to }: Extract<Step, { at: number }>, disk: Disk): void {
    const { touched } = this.ledger;
    const all = [...disk.keys()].sort();
    const ofKind = (wanted: Node['kind']): RelPath[] => all.filter((path) => disk.get(path)?.kind === wanted);
    const choose = <Item>(items: readonly Item[], by: number): Item | undefined =>
      items[by % Math.max(1, items.length)];
    const under = (path: RelPath): RelPath[] => all.filter((other) => other.startsWith(`${path}/`));
    const newPath = (by: number): RelPath => {
      const parents = ['', ...ofKind('directory')].filter((path) => path.split('/').length < 4);
      const parent = choose(parents, by) ?? '';
      const name = choose(names, Math.floor(by / 7)) ?? 'a';
      return rel(parent === '' ? name : `${parent}/${name}`);
    };
    const removeAt = (path: RelPath): void => {
      for (const gone of [path, ...under(path)]) {
        this.end(tagsOf(disk.get(gone)), peer, gone);
        disk.delete(gone);
      }
    };
    const put = (path: RelPath, node: Node): void => {
      const now = disk.get(path);
      if (now?.kind === 'directory') return;
      const kept = new Set(tagsOf(node));
      const replaced = tagsOf(now).filter((tag) => !kept.has(tag));
      this.end(replaced, peer, path);
      disk.set(path, node);
    };
    const file = choose(ofKind('file'), at);
    const folder = choose(ofKind('directory'), at);

    switch (kind) {
      case 'write': {
        const path = newPath(at);
        if (disk.get(path)?.kind === 'directory') return;
        return put(path, { kind: 'file', text: this.fresh(peer), executable: false });
      }
      case 'append': {
        const node = file === undefined ? undefined : disk.get(file);
        if (file === undefined || node?.kind !== 'file') return;
        this.note(touched, tagsOf(node), peer);
        return put(file, { ...node, text: [...tagsOf(node), this.fresh(peer)].sort().join('\n') });
      }
      case 'copy': {
        const node = file === undefined ? undefined : disk.get(file);
        const target = newPath(to);
        if (node === undefined || disk.has(target)) return;
        for (const tag of tagsOf(node)) this.ledger.copied.add(tag);
        return put(target, node);
      }
      case 'delete':
        return file === undefined ? undefined : removeAt(file);
      case 'rename':
      case 'renameDirectory': {
        const from = kind === 'rename' ? file : folder;
        const target = newPath(to);
        if (from === undefined || disk.has(target) || target === from || [...ancestorsOf(target)].includes(from))
          return;
        for (const path of [from, ...under(from)]) {
          const node = disk.get(path) as Node;
          this.note(touched, tagsOf(node), peer);
          if (path.includes('.conflict-')) for (const tag of tagsOf(node)) this.ledger.copied.add(tag);
          disk.delete(path);
          disk.set(rel(target + path.slice(from.length)), node);
        }
        return;
      }
      case 'mkdir': {
        const path = newPath(at);
        if (!disk.has(path)) disk.set(path, { kind: 'directory' });
        return;
      }
      case 'removeTree':
        return folder === undefined ? undefined : removeAt(folder);
      case 'chmod': {
        const node = file === undefined ? undefined : disk.get(file);
        if (file === undefined || node?.kind !== 'file') return;
        this.note(touched, tagsOf(node), peer);
        disk.set(file, { ...node, executable: !node.executable });
        return;
      }
      case 'flip': {
        const path = choose(all, at);
        if (path === undefined) return;
        const node = disk.get(path);
        removeAt(path);
        if (node?.kind === 'directory') disk.set(path, { kind: 'file', text: this.fresh(peer), executable: false });
        else disk.set(path, { kind: 'directory' });
        return;
      }
      case 'link': {
        const path = newPath(at);
        return put(path, { kind: 'symlink', target: `to-${to % 3}` });
      }
    }
  }

  check(): void {
    const [first] = this.peers;
    if (first === undefined) return;
    // Convergence, and the room says the same.
    const folder = shown(first.disk);
    for (const peer of this.peers) {
      expect(shown(peer.disk)).toEqual(folder);
      expect([...peer.holds.keys()]).toEqual([]);
      const { scope, agree, disk, publish } = peer.plan();
      expect([...scope, ...agree, ...disk, ...publish]).toEqual([]);
      for (const path of peer.disk.keys()) {
        const parent = parentPath(path);
        expect(parent === undefined || peer.disk.get(parent)?.kind === 'directory').toBe(true);
      }
    }
    const merged = new Set(this.peers.flatMap((peer) => [...peer.mergedTags]));
    const visible = new Map<string, RelPath[]>();
    for (const [path, node] of first.disk)
      for (const tag of tagsOf(node)) visible.set(tag, [...(visible.get(tag) ?? []), path]);
    for (const [tag] of this.ledger.written) {
      const ended = this.ledger.ended.get(tag) ?? new Set();
      // No lost bytes: what nobody ended is visible.
      if (ended.size === 0) expect(visible.has(tag), `${tag} is lost`).toBe(true);
      // No resurrection: what one peer ended, and no other touched or merged, is not there again. (It may be where another
      // peer's rename took it.)
      const touched = this.ledger.touched.get(tag) ?? new Set();
      if (
        ended.size === 1 &&
        !this.ledger.copied.has(tag) &&
        !merged.has(tag) &&
        [...touched].every((peer) => ended.has(peer))
      ) {
        const back = (visible.get(tag) ?? []).filter((path) => this.ledger.endedAt.get(tag)?.has(path));
        expect(back, `${tag} came back`).toEqual([]);
      }
    }
    // No invention: every line is a line that somebody wrote, once in a file.
    for (const [, node] of first.disk) {
      const tags = tagsOf(node);
      expect(new Set(tags).size).toBe(tags.length);
      for (const tag of tags) expect(this.ledger.written.has(tag)).toBe(true);
    }
  }
}

function shown(disk: Disk): Record<string, string> {
  const lines = [...disk]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, node]) => {
      if (node.kind === 'file') return [path, `${node.executable ? 'x' : '-'} ${node.text}`];
      return [path, node.kind === 'directory' ? '/' : `-> ${node.target}`];
    });
  return Object.fromEntries(lines);
}

const inspect = (disk: Disk, wanted: (path: RelPath) => boolean): Record<string, string> =>
  shown(new Map([...disk].filter(([path]) => wanted(path))));

const roundsMax = 40;
/** What a batch of runs must have come across. */
const allKinds = [
  'agree',
  'apply',
  'applyMode',
  'applyMove',
  'conflict',
  'merge',
  'moveAside',
  'publish',
  'publishMove',
  'publishMoveAside',
];

describe('whole peers in a model', () => {
  for (const { peers, seed } of [
    { peers: 2, seed: 20_261 },
    { peers: 3, seed: 20_262 },
  ]) {
    it(`${peers} peers, random work in any order: all become equal and nothing is lost`, () => {
      const planned = new Set<string>();
      fc.assert(
        fc.property(fc.array(stepOf(peers), { maxLength: 60, size: 'max' }), (steps) => {
          const world = new World(peers);
          world.run(steps);
          world.settle(roundsMax);
          world.check();
          for (const kind of world.room.planned.keys()) planned.add(kind);
        }),
        { seed, numRuns: 400 },
      );
      expect([...planned].sort()).toEqual(allKinds);
    });
  }

  it('one peer leaves paths out of scope: they are neither sent, nor applied, nor deleted, and hinder nothing else', () => {
    const ignored = (path: RelPath): boolean => path.split('/').includes('b');
    fc.assert(
      fc.property(fc.array(stepOf(2), { maxLength: 60, size: 'max' }), (steps) => {
        const world = new World(2, ignored);
        const [first, second] = world.peers as [ModelPeer, ModelPeer];
        for (const step of steps) {
          const before = inspect(first.disk, ignored);
          world.run([step]);
          if (step.kind === 'turn' || step.kind === 'pull') expect(inspect(first.disk, ignored)).toEqual(before);
        }
        const before = inspect(first.disk, ignored);
        world.settle(roundsMax);
        expect(inspect(first.disk, ignored)).toEqual(before);
        const inScope = (path: RelPath): boolean => !ignored(path) && !first.outOfScope.has(path);
        expect(inspect(first.disk, inScope)).toEqual(inspect(second.disk, inScope));
        expect([...first.outOfScope.keys()].filter((path) => first.disk.get(path)?.kind === 'file')).toEqual([]);
      }),
      { seed: 20_264, numRuns: 400 },
    );
  });

  it('one peer works: the others follow, without a conflict and without an echo', () => {
    fc.assert(
      fc.property(fc.array(stepOf(1), { maxLength: 50, size: 'max' }), (steps) => {
        const world = new World(3);
        for (const step of steps) {
          world.run([step]);
          if (step.kind === 'turn') for (const peer of world.peers.slice(1)) peer.turn();
          else if (step.kind === 'pull') for (const peer of world.peers.slice(1)) peer.pull();
        }
        world.settle(roundsMax);
        world.check();
        expect(world.peers.map((peer) => peer.conflicts)).toEqual([0, 0, 0]);
        expect(world.room.authors.filter((author) => author !== 'p0')).toEqual([]);
      }),
      { seed: 20_263, numRuns: 400 },
    );
  });
});
