/**
 * Tells when the process that started this one is gone: npm passes no signal on, so `npm start` watches its ancestors instead.
 * npm starts scripts through a shell that may stay between the two, and that outlives npm: then the shell's parent counts.
 */
import { readFileSync } from 'node:fs';

const pollMs = 300;

/** Calls `onGone` once. The timer does not keep the process alive. */
export function watchParent(onGone: () => void): void {
  const parent = process.ppid;
  const grandparent = isShell(parent) ? parentOf(parent) : undefined;
  const timer = setInterval(() => {
    const gone =
      process.ppid !== parent || !isAlive(parent) || (grandparent !== undefined && parentOf(parent) !== grandparent);
    if (!gone) return;
    clearInterval(timer);
    onGone();
  }, pollMs);
  timer.unref();
}

/** `/proc/<pid>/stat` is `pid (name) state ppid …`; the name may hold anything. Elsewhere than on Linux there is none. */
function statFields(pid: number): { readonly name: string; readonly parent: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const end = text.lastIndexOf(')');
    return { name: text.slice(text.indexOf('(') + 1, end), parent: Number(text.slice(end + 2).split(' ')[1]) };
  } catch {
    return undefined;
  }
}

const parentOf = (pid: number): number | undefined => statFields(pid)?.parent;
const isShell = (pid: number): boolean => /^(sh|dash|bash|ash|zsh)$/.test(statFields(pid)?.name ?? '');

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Not allowed to signal it: it lives.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
