/**
 * Folders that another process keeps in sync, while this window has unsaved edits in them: it says so there, through a connection
 * that lasts as long as they do. When the connection is lost, or the other process, the edits are said again with the next request.
 */
import type { FolderHost, UnsavedEdit } from '@driftless/engine';

type Control = NonNullable<Awaited<ReturnType<FolderHost['attach']>>>;

export interface Attached {
  hold(dir: string, edits: readonly UnsavedEdit[]): Promise<null>;
  close(): Promise<void>;
}

export function createAttached(host: () => Promise<FolderHost>): Attached {
  const controls = new Map<string, Promise<Control | undefined>>();
  /** One after the other for each folder, so that the last word stays the last. */
  const queues = new Map<string, Promise<null>>();

  const drop = async (dir: string): Promise<void> => {
    const known = controls.get(dir);
    controls.delete(dir);
    await (await known?.catch(() => undefined))?.close();
  };

  const say = async (dir: string, edits: readonly UnsavedEdit[]): Promise<null> => {
    // A connection's end says that there are none.
    if (edits.length === 0 && !controls.has(dir)) return null;
    const known = controls.get(dir) ?? host().then((opened) => opened.attach(dir));
    controls.set(dir, known);
    try {
      const control = await known;
      if (control === undefined) controls.delete(dir);
      await control?.holdUnsaved('', edits);
    } catch {
      // Said again with the next attempt to open the folder.
      await drop(dir);
    }
    if (edits.length === 0) await drop(dir);
    return null;
  };

  return {
    hold: (dir, edits) => {
      const said = (queues.get(dir) ?? Promise.resolve(null)).then(() => say(dir, edits));
      queues.set(dir, said);
      return said;
    },
    async close() {
      await Promise.all([...controls.keys()].map(drop));
    },
  };
}
