// A firewall as a process of its own that kills itself, as SIGKILL would, in the middle of a change; for the tests.
// Arguments: folder, chain, the number of the step before which it dies (0: never), and the edits as JSON.
import { once } from 'node:events';
import { flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { createLogger } from '@coold/runtime/logger';
import { createKernel } from '../src/firewall/planes/follow/kernel.ts';
import { createJournal } from '../src/firewall/store/journal.ts';
import type { Edit } from '../src/firewall/store/rule-model.ts';
import { createSnapshotFiles } from '../src/firewall/store/snapshot-files.ts';
import { createStore } from '../src/firewall/store/store.ts';

// It seldom ends by itself, which is when Node would keep what it compiled for the next.
flushCompileCache();
const [folder = '', chain = '', dieBefore = '0', edits = '[]'] = process.argv.slice(2);
const log = createLogger('child', { level: 'warn', components: new Map() }, false);

let steps = 0;
let armed = false;

/** The same object, dying before one of the calls on it, or on what they return, once it is armed. */
function mortal<T extends object>(inner: T): T {
  return new Proxy(inner, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (armed) {
          steps += 1;
          if (steps === Number(dieBefore)) process.kill(process.pid, 'SIGKILL');
        }
        const answer: unknown = Reflect.apply(value, target, args);
        if (!(answer instanceof Promise)) return answer;
        return answer.then((result: unknown) =>
          typeof result === 'object' && result !== null && 'commit' in result ? mortal(result) : result,
        );
      };
    },
  });
}

// Two are many: both ways in which changes are made are died in.
const kernel = createKernel({ chain, log, manyRules: 2 });
const store = createStore({
  chain,
  kernel: mortal(kernel),
  files: mortal(
    createSnapshotFiles({ iptables: join(folder, 'allow.rules'), nft: join(folder, 'allow.nft') }, chain),
  ),
  journal: mortal(createJournal(join(folder, 'allow.pending'))),
  log,
});
const stop = new AbortController();
const listening = Promise.withResolvers<void>();
void kernel.follow(stop.signal, listening.resolve);
await listening.promise;
const loaded = Promise.withResolvers<void>();
const running = store.run(stop.signal, loaded.resolve);
await loaded.promise;
const { unfinished, drift, snapshotProblem, lastError } = store.state();
const ids = store.rules().map(({ id }) => id);
process.stdout.write(`${JSON.stringify({ ids, unfinished, drift, snapshotProblem, lastError })}\n`);
// What it found is looked at before it goes on.
await once(process.stdin, 'data');
process.stdin.destroy();
armed = true;
// One after the other, each acknowledged in a line of its own; together where a list stands for one.
for (const [index, together] of (JSON.parse(edits) as Edit[][]).entries()) {
  const verdict = await store.edit(together, { alone: true }).then(
    () => 'done',
    () => 'failed',
  );
  process.stdout.write(`${verdict} ${index}\n`);
}
stop.abort();
await running;
process.exit(0);
