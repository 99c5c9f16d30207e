/** Keeps the status bar item to what the folders are. */
import type { Disposable } from './emitter.ts';
import type { Folders } from './folders.ts';
import { presentStatusBar } from './present/status-bar.ts';
import { createStatusItem } from './window.ts';

export function createStatusBar(folders: Folders): Disposable {
  const item = createStatusItem();
  const render = (): void => {
    const model = presentStatusBar(folders.list(), Date.now());
    if (model === undefined) item.hide();
    else item.show(model);
  };
  const listening = folders.onDidChange(render);
  render();
  return {
    dispose: () => {
      listening.dispose();
      item.dispose();
    },
  };
}
