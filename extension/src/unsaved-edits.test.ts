import type { UnsavedEdit } from '@driftless/engine';
import { describe, expect, it } from 'vitest';
import { createUnsavedEdits, type EditedDocument, withEdits } from './unsaved-edits.ts';

/** A document, and everything that the window is told and asked of it. */
function open(text: string, remembered: readonly UnsavedEdit[] = [], isDirty = false) {
  const calls: string[] = [];
  const state = { text, version: 1, isDirty };
  const moments: (() => void)[] = [];
  let answerMerge: (answer: Awaited<ReturnType<typeof merge>>) => void = () => undefined;
  const merge = (_dir: string, _path: string, given: string, merged: string | null) => {
    calls.push(`merge ${given} ${merged}`);
    return new Promise<
      | { kind: 'waits' }
      | { kind: 'later' }
      | { kind: 'merged'; version: string; edits: { start: number; end: number; text: string }[] }
    >((resolve) => {
      answerMerge = resolve;
    });
  };
  const document: EditedDocument = {
    dir: '/f',
    path: 'a.txt',
    get version() {
      return state.version;
    },
    get isDirty() {
      return state.isDirty;
    },
    text: () => state.text,
  };
  const unsaved = createUnsavedEdits({
    hold: (_dir, edits) => calls.push(`hold ${edits.map(({ loaded, merged }) => `${loaded} ${merged}`).join()}`),
    savedMerged: (_dir, _path, version) => calls.push(`saved ${version}`),
    merge,
    apply: async (_document, edits, version) => {
      if (version !== state.version) return false;
      become(withEdits(state.text, edits), 'text');
      return true;
    },
    digestOf: (given) => `#${given}`,
    recall: () => remembered,
    remember: () => undefined,
    inAMoment: (work) => moments.push(work),
  });
  const become = (next: string, how: 'text' | 'undo'): void => {
    const { isDirty: wasDirty } = state;
    Object.assign(state, { text: next, version: state.version + 1 });
    // In VS Code's order.
    unsaved.changed(document, how);
    state.isDirty = true;
    if (!wasDirty) unsaved.changed(document, 'state');
  };
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
  };
  unsaved.changed(document, 'state');
  return {
    calls,
    state,
    unsaved,
    document,
    type: (more: string) => become(state.text + more, 'text'),
    undo: (before: string) => become(before, 'undo'),
    waits: (version: string | null) => unsaved.waiting('/f', version === null ? [] : [{ path: 'a.txt', version }]),
    merged: async (version: string, start: string) => {
      answerMerge({ kind: 'merged', version, edits: [{ start: 0, end: 0, text: start }] });
      await settle();
    },
    refused: async (kind: 'waits' | 'later' = 'waits') => {
      answerMerge({ kind });
      await settle();
    },
    /** Nothing more is told of a save. */
    moment: () => {
      for (const work of moments.splice(0)) work();
    },
    /** As VS Code tells of it: first that it is clean, then that it was saved. */
    save: (typedMeanwhile = false) => {
      unsaved.willSave(document);
      if (typedMeanwhile) become(`${state.text}!`, 'text');
      else {
        state.isDirty = false;
        unsaved.changed(document, 'state');
      }
      unsaved.saved(document);
    },
    revert: (onDisk: string) => {
      Object.assign(state, { text: onDisk, version: state.version + 1, isDirty: false });
      unsaved.changed(document, 'text');
    },
  };
}

describe('a window that is loaded again', () => {
  const paths = ['a.txt', 'b.txt', 'c.txt'];
  const loadedFrom = (edits: readonly UnsavedEdit[]) => edits.map(({ path, loaded }) => `${path} ${loaded}`);

  function openWindow(remembered: readonly UnsavedEdit[]) {
    let memory = remembered;
    const unsaved = createUnsavedEdits({
      hold: () => undefined,
      savedMerged: () => undefined,
      merge: async () => ({ kind: 'waits' }),
      apply: async () => false,
      digestOf: (given) => `#${given}`,
      recall: () => memory,
      remember: (_dir, edits) => {
        memory = edits;
      },
      inAMoment: () => undefined,
    });
    const show = (path: string): void =>
      unsaved.changed({ dir: '/f', path, version: 1, isDirty: true, text: () => `${path}, typed on` }, 'state');
    return { unsaved, show, memory: () => memory };
  }
  const remembered = paths.map((path) => ({ path, loaded: `#${path}`, merged: null }));

  it('knows of each of its unsaved files what it was loaded from', () => {
    const window = openWindow(remembered);
    for (const path of paths) window.show(path);
    expect(loadedFrom(window.unsaved.editsOf('/f'))).toEqual(['a.txt #a.txt', 'b.txt #b.txt', 'c.txt #c.txt']);
  });

  it('holds only what it has shown, and remembers the rest for the window after it', () => {
    const window = openWindow(remembered);
    window.show('b.txt');
    expect(loadedFrom(window.unsaved.editsOf('/f'))).toEqual(['b.txt #b.txt']);
    const next = openWindow(window.memory());
    for (const path of paths) next.show(path);
    expect(loadedFrom(next.unsaved.editsOf('/f'))).toEqual(['a.txt #a.txt', 'b.txt #b.txt', 'c.txt #c.txt']);
  });
});

describe('unsaved edits of a document', () => {
  it('are said with the first key, with what was loaded, and not with every further one; and that they are over, too', () => {
    const editor = open('a');
    expect(editor.calls).toEqual([]);
    editor.type('b');
    editor.type('c');
    expect(editor.calls).toEqual(['hold #a null']);
    expect(editor.unsaved.editsOf('/f')).toEqual([{ path: 'a.txt', loaded: '#a', merged: null }]);
    editor.save();
    editor.type('d');
    editor.unsaved.closed(editor.document);
    expect(editor.calls).toEqual(['hold #a null', 'hold ', 'hold #abc null', 'hold ']);
  });

  it('take in what waits, and the save says so before the file is given free', async () => {
    const editor = open('a');
    editor.type('b');
    editor.waits('v1');
    await editor.merged('v1', '1');
    expect(editor.state.text).toBe('1ab');
    editor.waits('v1');
    editor.save();
    expect(editor.calls).toEqual(['hold #a null', 'merge ab null', 'hold #a v1', 'saved v1', 'hold ']);
  });

  it('take in the next version from the one that is in the buffer', async () => {
    const editor = open('a');
    editor.type('b');
    editor.waits('v1');
    await editor.merged('v1', '1');
    editor.waits('v2');
    await editor.merged('v2', '2');
    expect(editor.calls.slice(-2)).toEqual(['merge 1ab v1', 'hold #a v2']);
    expect(editor.state.text).toBe('21ab');
  });

  it('a merge for a text that was typed on is asked for again', async () => {
    const editor = open('a');
    editor.type('b');
    editor.waits('v1');
    editor.type('c');
    await editor.merged('v1', '1');
    expect(editor.state.text).toBe('abc');
    await editor.merged('v1', '1');
    expect(editor.state.text).toBe('1abc');
    expect(editor.calls).toEqual(['hold #a null', 'merge ab null', 'merge abc null', 'hold #a v1']);
  });

  it('a version newer than the one that was asked for is not asked for again', async () => {
    const editor = open('a');
    editor.type('b');
    editor.waits('v1');
    await editor.merged('v2', '2');
    editor.waits('v2');
    expect(editor.calls).toEqual(['hold #a null', 'merge ab null', 'hold #a v2']);
  });

  it('what does not merge is not asked for at every key, and the next version is', async () => {
    const editor = open('a');
    editor.type('b');
    editor.waits('v1');
    await editor.refused();
    editor.type('c');
    expect(editor.calls).toEqual(['hold #a null', 'merge ab null']);
    editor.waits('v2');
    expect(editor.calls.at(-1)).toBe('merge abc null');
  });

  it('what the relay did not give in time is asked for again, with the next key or word of it', async () => {
    const editor = open('a');
    editor.type('b');
    editor.waits('v1');
    await editor.refused('later');
    expect(editor.calls).toEqual(['hold #a null', 'merge ab null']);
    editor.type('c');
    await editor.refused('later');
    editor.waits('v1');
    expect(editor.calls.slice(2)).toEqual(['merge abc null', 'merge abc null']);
  });

  it('an undo takes the merge back: it is not repeated, and the save says nothing', async () => {
    const editor = open('a');
    editor.type('b');
    editor.waits('v1');
    await editor.merged('v1', '1');
    editor.undo('ab');
    editor.waits('v1');
    editor.save();
    expect(editor.calls).toEqual(['hold #a null', 'merge ab null', 'hold #a v1', 'hold #a null', 'hold ']);
  });

  it('typed on while it is saved: what was saved had the merge, and what it is now is not known', async () => {
    const editor = open('a');
    editor.type('b');
    editor.waits('v1');
    await editor.merged('v1', '1');
    editor.save(true);
    expect(editor.calls.slice(-2)).toEqual(['saved v1', 'hold null null']);
  });

  it('a merge that came in after the save had begun is not said to be saved', async () => {
    const editor = open('a');
    editor.type('b');
    editor.unsaved.willSave(editor.document);
    editor.waits('v1');
    await editor.merged('v1', '1');
    editor.unsaved.saved(editor.document);
    expect(editor.calls.filter((call) => call.startsWith('saved'))).toEqual([]);
  });

  it('brought back by another window: what it was loaded from is remembered, what was merged is not', () => {
    const editor = open('ab', [{ path: 'a.txt', loaded: '#a', merged: 'v1' }], true);
    expect(editor.calls).toEqual(['hold #a null']);
  });

  it('given up, with a merge in it: nothing was saved', async () => {
    const editor = open('a');
    editor.type('b');
    editor.waits('v1');
    await editor.merged('v1', '1');
    editor.revert('a');
    expect(editor.calls.slice(-1)).toEqual(['hold ']);
    expect(editor.calls.filter((call) => call.startsWith('saved'))).toEqual([]);
  });

  it('given up after a save that failed: they are over', () => {
    const editor = open('a');
    editor.type('b');
    editor.unsaved.willSave(editor.document);
    editor.state.isDirty = false;
    editor.unsaved.changed(editor.document, 'state');
    expect(editor.calls).toEqual(['hold #a null', 'hold ']);
  });

  it('given up after a save that failed, with a merge in it: they are over, and nothing was saved', async () => {
    const editor = open('a');
    editor.type('b');
    editor.waits('v1');
    await editor.merged('v1', '1');
    editor.unsaved.willSave(editor.document);
    editor.state.isDirty = false;
    editor.unsaved.changed(editor.document, 'state');
    editor.moment();
    expect(editor.calls.slice(2)).toEqual(['hold #a v1', 'hold ']);
  });

  it('a save that took long is still told of before they are over', async () => {
    const editor = open('a');
    editor.type('b');
    editor.waits('v1');
    await editor.merged('v1', '1');
    editor.save();
    editor.waits(null);
    editor.type('c');
    editor.moment();
    expect(editor.calls.slice(3)).toEqual(['saved v1', 'hold ', 'hold #1ab null']);
  });

  it('typed on right after the save, before that is told of: what they were loaded from is known', () => {
    const editor = open('a');
    editor.type('b');
    editor.unsaved.willSave(editor.document);
    editor.state.isDirty = false;
    editor.unsaved.changed(editor.document, 'state');
    editor.type('c');
    editor.unsaved.saved(editor.document);
    expect(editor.calls.slice(1)).toEqual(['hold ', 'hold #ab null']);
  });
});
