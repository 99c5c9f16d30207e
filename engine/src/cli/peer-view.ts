/**
 * What a running peer's events look like: one JSON line each with --json, or a human view with a bar for long work on a
 * terminal and plain lines elsewhere. Words only; decides nothing.
 */
import { basename } from 'node:path';
import { shownText } from '@driftless/protocol';
import { MultiBar, Presets, type SingleBar } from 'cli-progress';
import type { PeerEvent, PeerState } from '../control.ts';
import { shellWord } from '../core/shell-word.ts';
import type { Output } from './output.ts';

/** Without a terminal, long work says this often how far it is. */
const progressLineMs = 5_000;
/** A burst of files is shown by its first lines and a count. */
const filesShownPerBurst = 20;
/** One line; `--json` names more. */
const runnableShownMax = 10;

export interface PeerView {
  onEvent(dir: string, event: PeerEvent): void;
  close(): void;
}

export interface PeerViewOptions {
  readonly nowMs: () => number;
  /** Where bars are drawn; stderr by default. */
  readonly terminal?: NodeJS.WritableStream;
}

export function createPeerView(output: Output, options: PeerViewOptions): PeerView {
  const human = createHumanView(output, options);
  return {
    onEvent(dir, event) {
      if (output.json) output.object({ ...event, dir, time: new Date(options.nowMs()).toISOString() });
      else human.show(dir, event);
    },
    close: () => human.close(),
  };
}

function createHumanView(
  output: Output,
  { nowMs, terminal }: PeerViewOptions,
): { show(dir: string, event: PeerEvent): void; close(): void } {
  const bars = output.interactive ? createBars(terminal ?? process.stderr) : undefined;
  const lastStateText = new Map<string, string>();
  const filesInBurst = new Map<string, number>();
  let progressShownAtMs = Number.NEGATIVE_INFINITY;

  const say = (dir: string, text: string): void => {
    const time = new Date(nowMs()).toTimeString().slice(0, 8);
    const line = `${time}  ${basename(dir)}  ${text}`;
    if (bars === undefined || !bars.log(line)) output.line(line);
  };

  return {
    show(dir, event) {
      if (event.event !== 'state') {
        if (event.event === 'sent' || event.event === 'applied') {
          // The state that was told before is news again after it.
          lastStateText.delete(dir);
          const count = (filesInBurst.get(dir) ?? 0) + 1;
          filesInBurst.set(dir, count);
          if (count > filesShownPerBurst) return;
        }
        say(dir, eventText(event));
        return;
      }
      bars?.show(dir, event.progress);
      if (bars === undefined && event.progress !== undefined && nowMs() - progressShownAtMs >= progressLineMs) {
        progressShownAtMs = nowMs();
        const { phase, done, total, unit } = event.progress;
        say(dir, `${phase}: ${done} of ${total} ${unit}`);
      }
      const text = stateText(event, dir);
      if (text === '') return;
      const hidden = (filesInBurst.get(dir) ?? 0) - filesShownPerBurst;
      if (hidden > 0) say(dir, `… and ${hidden} more`);
      filesInBurst.delete(dir);
      if (lastStateText.get(dir) !== text) {
        lastStateText.set(dir, text);
        say(dir, text);
      }
    },
    close: () => bars?.close(),
  };
}

/** Empty for what only passes by: the lines about files and the bar tell enough of it. */
export function stateText(state: PeerState, dir: string): string {
  switch (state.state) {
    case 'idle':
      return state.unwatched === undefined ? 'in sync' : `in sync (${unwatchedText(state.unwatched)})`;
    case 'conflict':
      return `${state.conflicts} open conflict${state.conflicts === 1 ? '' : 's'}; see: driftless conflicts ${shellWord(dir)}`;
    case 'offline':
      return `offline${because(state)}; changes are kept and go out later`;
    case 'paused':
      return `paused; go on with: driftless resume ${shellWord(dir)}`;
    case 'error':
      return `needs attention${because(state)}${state.next === undefined ? '' : `. Next: ${state.next}`}`;
    case 'scanning':
    case 'syncing':
      return '';
  }
}

/** Why some changes take longer to be found, and what to do about it. */
export function unwatchedText({ directories, reason, next }: NonNullable<PeerState['unwatched']>): string {
  const what =
    directories === null ? 'no folder is' : directories === 1 ? 'one folder is not' : `${directories} folders are not`;
  return `${what} watched, so changes there are found by looking: ${reason}${next === '' ? '' : `. ${next[0]?.toUpperCase()}${next.slice(1)}`}`;
}

/** How long ago, and how often, the whole folder is looked at; none when no peer runs. */
export function lookedText({ sweepPeriodMs, wholeFolderLookedAt }: PeerState): readonly string[] {
  if (sweepPeriodMs === undefined) return [];
  const every = `every ${Math.round(sweepPeriodMs / 1_000)} s`;
  return [
    wholeFolderLookedAt == null
      ? `the whole folder is being looked at, then ${every}`
      : `the whole folder was looked at ${wholeFolderLookedAt}, and is ${every}`,
  ];
}

const because = (state: PeerState): string => (state.reason === undefined ? '' : `: ${state.reason}`);

function eventText(event: Exclude<PeerEvent, { readonly event: 'state' }>): string {
  switch (event.event) {
    case 'sent':
      return `${event.deleted === true ? 'sent deletion of' : 'sent'} ${event.path}`;
    case 'applied':
      return `${event.deleted === true ? 'deleted' : 'received'} ${event.path}${event.by === undefined ? '' : ` from ${event.by}`}`;
    case 'conflict':
      return `conflict in ${event.path} with ${event.device}: ${event.reason}`;
    case 'resolved':
      return `conflict in ${event.path} is resolved`;
    case 'problem':
      return event.path === '' ? `problem: ${event.reason}` : `problem with ${event.path}: ${event.reason}`;
    case 'note':
      return event.path === '' ? event.note : `${event.path}: ${event.note}`;
    case 'runnable':
      return runnableText(event);
    case 'peer':
      return `${event.name} is ${event.online ? 'here' : 'away'}`;
  }
}

function runnableText({ when, files, count }: Extract<PeerEvent, { readonly event: 'runnable' }>): string {
  const named = files.slice(0, runnableShownMax).map(({ path, why }) => `${path} (${why})`);
  const more = count > named.length ? `, and ${count - named.length} more` : '';
  const what = count === 1 ? 'one file of the room runs' : `${count} files of the room run`;
  return `${when}: ${what} code here: ${named.join(', ')}${more}`;
}

interface Bars {
  show(dir: string, progress: PeerState['progress']): void;
  /** Prints above the bars; false when there are none. */
  log(line: string): boolean;
  close(): void;
}

function createBars(stream: NodeJS.WritableStream): Bars {
  let group: MultiBar | undefined;
  const barsByDir = new Map<string, SingleBar>();
  const endGroup = (): void => {
    group?.stop();
    group = undefined;
    barsByDir.clear();
  };
  return {
    show(dir, progress) {
      const bar = barsByDir.get(dir);
      if (progress === undefined) {
        if (bar === undefined) return;
        group?.remove(bar);
        barsByDir.delete(dir);
        if (barsByDir.size === 0) endGroup();
        return;
      }
      const words = { name: shownText(basename(dir)), phase: shownText(progress.phase), unit: progress.unit };
      if (bar !== undefined) {
        bar.setTotal(progress.total);
        bar.update(progress.done, words);
        return;
      }
      group ??= new MultiBar(
        {
          format: '{name}  {phase} {bar} {percentage}% of {total} {unit}',
          clearOnComplete: true,
          hideCursor: true,
          stream,
        },
        Presets.shades_grey,
      );
      barsByDir.set(dir, group.create(progress.total, progress.done, words));
    },
    log(line) {
      if (group === undefined) return false;
      group.log(`${shownText(line)}\n`);
      return true;
    },
    close: endGroup,
  };
}
