// `npm run demo`: three hosts, a deployment across them, then faults: a cut cable, a killed broker and a host without
// power. It draws a live screen, or prints lines where there is no terminal. With `--once`, the last line of stdout is
// the whole story as JSON.
import { parseArgs } from 'node:util';
import { checkRequirements, thisMachine } from '../harness/lab/requirements.ts';
import { messagesOf } from '../quickstart/messages.ts';
import { Interrupted } from '../quickstart/own-lab.ts';
import { demo } from './demo.ts';
import { openStage } from './stage.ts';

const say = (line: string) => void process.stderr.write(`demo: ${line}\n`);

function readArguments(): { once: boolean; record: string | undefined } {
  try {
    const options = { once: { type: 'boolean', default: false }, record: { type: 'string' } } as const;
    const { once, record } = parseArgs({ options }).values;
    return { once, record };
  } catch (error) {
    say(`${messagesOf(error).join(' ')} (expected --once, or --record FILE)`);
    process.exit(2);
  }
}

const { once, record } = readArguments();
const stop = new AbortController();
const end = () => stop.abort();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
// When npm, our parent, is killed, no signal arrives, but the parent process changes.
const parent = process.ppid;
setInterval(() => process.ppid === parent || end(), 500).unref();

async function run(): Promise<number> {
  checkRequirements(thisMachine());
  using stage = openStage({ output: process.stderr, env: process.env, record });
  const story = await demo({ once, stage, stop: stop.signal });
  stage[Symbol.dispose]();
  if (once) process.stdout.write(`${JSON.stringify(story)}\n`);
  return 0;
}

try {
  process.exit(await run());
} catch (error) {
  if (error instanceof Interrupted) process.exit(130);
  for (const message of messagesOf(error)) say(message);
  process.exit(1);
}
