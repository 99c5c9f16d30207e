/** Which relay a new room goes to: the one of the settings, a typed address, or one hosted on this machine. */
import type { CommandContext } from '../context.ts';
import { parseRelayAddress } from '../present/relay-address.ts';
import { networkAddresses, type RelayRunning, relayUrl } from '../relay-host.ts';
import { settings } from '../settings.ts';
import { ask, askForText, type Choice, pick, tell, withProgress } from '../window.ts';
import { agreeToPlain } from './agree-to-plain.ts';

export interface RelayChoice {
  readonly urls: readonly string[];
  /** Plain `ws://` beyond this machine was agreed to. */
  readonly plainAgreed: boolean;
  /** What a person should know about this relay when passing the invite on. */
  readonly note?: string;
}

interface RelayItem extends Choice {
  readonly choose: () => Promise<RelayChoice | undefined>;
}

/** undefined: the choice was left. */
export async function pickRelay(context: CommandContext, title: string): Promise<RelayChoice | undefined> {
  const configured = settings.relayUrl();
  const hosted = await context.relay.resume();
  const items: RelayItem[] = [];
  if (configured !== '')
    items.push({
      icon: 'server',
      label: configured,
      detail: 'The relay of your settings.',
      choose: () => checked(configured),
    });
  if (hosted !== undefined)
    items.push({
      icon: 'vm-running',
      label: 'The relay on this machine',
      detail: hosted.urls.join(', '),
      choose: async () => hostedChoice(hosted),
    });
  items.push({
    icon: 'edit',
    label: 'Type an address',
    detail: 'A relay that you, or somebody you know, runs: wss://relay.example.org',
    choose: () => typeAddress(title),
  });
  if (hosted === undefined) {
    items.push({
      icon: 'vm',
      label: 'Host a relay on this machine',
      detail: 'A small process that stores and forwards what it cannot read, also after this window closed.',
      choose: () => hostRelay(context, title),
    });
  }
  const item = await pick(items, {
    title,
    placeHolder: 'Through which relay do your machines meet?',
  });
  return item?.choose();
}

async function checked(text: string): Promise<RelayChoice | undefined> {
  const address = parseRelayAddress(text);
  if (address.kind === 'invalid') {
    void tell('error', `The setting driftless.relayUrl: ${address.reason}`);
    return undefined;
  }
  if (address.leavesMachinePlain && !(await agreeToPlain())) return undefined;
  return { urls: [address.url], plainAgreed: address.leavesMachinePlain };
}

async function typeAddress(title: string): Promise<RelayChoice | undefined> {
  const text = await askForText({
    title,
    prompt: 'Address of the relay',
    placeHolder: 'wss://relay.example.org or ws://127.0.0.1:4747',
    refusalOf: (typed) => {
      if (typed.trim() === '') return '';
      const address = parseRelayAddress(typed);
      return address.kind === 'invalid' ? address.reason : undefined;
    },
  });
  return text === undefined ? undefined : checked(text);
}

async function hostRelay({ relay }: CommandContext, title: string): Promise<RelayChoice | undefined> {
  const port = settings.hostedRelayPort();
  const reach = await pick(
    [
      {
        icon: 'device-desktop',
        label: 'This machine only',
        detail: `For windows, containers and remote sessions on this machine: ${relayUrl('127.0.0.1', port)}`,
        network: false,
      },
      {
        icon: 'globe',
        label: 'This network',
        detail: 'For other machines that can reach an address of this one.',
        network: true,
      },
    ],
    { title, placeHolder: 'Who may reach the relay?' },
  );
  if (reach === undefined) return undefined;
  const host = reach.network ? await pickAddress(title) : '127.0.0.1';
  if (host === undefined) return undefined;
  if (reach.network && !(await agreeToNetwork(host, port))) return undefined;
  const running = await withProgress({ title: 'Starting the relay' }, () => relay.host({ host, port }));
  return hostedChoice(running);
}

async function pickAddress(title: string): Promise<string | undefined> {
  const addresses = networkAddresses();
  if (addresses.length === 0) {
    void tell(
      'info',
      'This machine has no network address now. Host the relay for this machine only, or connect to a network first.',
    );
    return undefined;
  }
  const items = addresses.map((address) => ({ label: address, description: 'Only this address', address }));
  if (addresses.length > 1)
    items.push({ label: 'All addresses', description: addresses.join(', '), address: '0.0.0.0' });
  return (
    await pick(items, {
      title,
      placeHolder: 'At which address do the other machines reach this one?',
    })
  )?.address;
}

async function agreeToNetwork(host: string, port: number): Promise<boolean> {
  const go = await ask({
    text: 'Host a relay that your network can reach?',
    detail: [
      `It listens on ${host === '0.0.0.0' ? 'all addresses of this machine' : relayUrl(host, port)}, over plain ws://.`,
      'Contents, names and paths are sealed end to end, and invites pin the key of the relay. What stays visible in the network: which machines use it, when, and how much.',
      'Anyone in the network can reach it and store rooms of their own in it, but can read nothing.',
      'It runs until "Sync: Stop the Relay on This Machine", and starts again with the next window.',
    ].flatMap((paragraph, index) => (index === 0 ? [paragraph] : ['', paragraph])),
    answers: ['Host It'],
  });
  return go === 'Host It';
}

function hostedChoice({ urls }: RelayRunning): RelayChoice {
  const parsed = urls.map(parseRelayAddress);
  const leaves = parsed.some((each) => each.kind === 'valid' && each.leavesMachinePlain);
  return leaves
    ? { urls, plainAgreed: true }
    : {
        urls,
        plainAgreed: false,
        note: 'The relay answers on this machine only: the invite is for windows, containers and remote sessions here.',
      };
}
