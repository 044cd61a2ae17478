// `npm run quickstart`: one host with everything, a deployment shown as Laravel's calls, then six things to try until
// Ctrl-C. Progress goes to stderr. With `--once`, the last line of stdout is the whole story as JSON.
import { messagesOf } from './messages.ts';
import { Interrupted } from './own-lab.ts';
import { quickstart } from './quickstart.ts';
import { say } from './terminal.ts';

const unknown = process.argv.slice(2).find(arg => arg !== '--once');
if (unknown !== undefined) {
  say(`${unknown}: expected nothing, or --once`);
  process.exit(2);
}
const stop = new AbortController();
const end = (why: string) => {
  if (!stop.signal.aborted) say(why);
  stop.abort();
};
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => end('stopping'));
// When npm, our parent, is killed, no signal arrives, but the parent process changes.
const parent = process.ppid;
setInterval(() => process.ppid === parent || end('stopping: what started it has ended'), 500).unref();

try {
  process.exit(await quickstart({ once: process.argv.includes('--once'), stop: stop.signal }));
} catch (error) {
  if (error instanceof Interrupted) process.exit(130);
  for (const message of messagesOf(error)) say(message);
  process.exit(1);
}
