/** Asks before a relay is used over an unencrypted connection that leaves this machine (plain `ws://` beyond loopback). */
import { ask } from '../window.ts';

export async function agreeToPlain(): Promise<boolean> {
  const go = await ask({
    text: 'Use a connection that is not encrypted on the way?',
    detail: [
      'Contents, names and paths stay sealed end to end, and the relay is known by its own key. What others in the network can see: that these machines talk to this relay, when, and how much.',
    ],
    answers: ['Use It'],
  });
  return go === 'Use It';
}
