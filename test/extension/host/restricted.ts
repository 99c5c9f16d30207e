/** The extension in Restricted Mode, in a folder that carries signs of a link. */
import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { commandIds } from '../../../extension/src/contributions.ts';
import { activated, viewOf } from './support.ts';
import { presentStatusText } from './window-facts.ts';

describe('Restricted Mode', () => {
  it('activates, but starts nothing and says so', async () => {
    assert.equal(vscode.workspace.isTrusted, false);
    const api = await activated();
    assert.deepEqual(api.host.state, { kind: 'stopped' });
    assert.deepEqual(viewOf(api), { kind: 'restricted' });
    assert.match(presentStatusText(api), /waits for trust/);
  });

  it('connects nothing', async () => {
    const api = await activated();
    await vscode.commands.executeCommand(commandIds.connectPeer);
    assert.deepEqual(api.host.state, { kind: 'stopped' });
  });
});
