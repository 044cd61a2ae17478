import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { runChild } from '@coold/runtime';
import { scratchFolder, startScript } from '@coold/testbed';
import { createPacketFilter, type PacketFilter } from '@coold/testbed/packet-filter';
import { Agent, request } from 'undici';
import { bundled } from './bundled.ts';
import { type Measurement, summarise } from './load.ts';
import type { Suite } from './suite.ts';

interface Flow {
  src: string;
  dst: string;
  proto: 'tcp';
  port: number;
}

const restoreScript = fileURLToPath(new URL('../../systemd/restore-allow.sh', import.meta.url));
const place = ['bridge', 'coolify_bridge', 'coolify_allow'];

/** Returns a distinct flow for every number. */
const flow = (n: number): Flow => ({
  src: `10.210.${(n >> 8) & 255}.${n & 255}`,
  dst: `10.211.${(n >> 16) & 255}.9`,
  proto: 'tcp',
  port: 80,
});
const mark = (n: number) => `cid:${n.toString(16).padStart(12, '0')}:raw`;
const iptablesWords = (n: number) => {
  const { src, dst, proto, port } = flow(n);
  return `-s ${src} -d ${dst} -p ${proto} --dport ${port} -m comment --comment ${mark(n)} -j ACCEPT`;
};
const nftWords = (n: number) => {
  const { src, dst, proto, port } = flow(n);
  return `meta protocol ip ip saddr ${src} ip daddr ${dst} ip protocol ${proto} th dport ${port} accept comment "${mark(n)}"`;
};

/**
 * Compares the firewall verbs over REST with the raw tools at the same number of rules, in turns. Each has its own
 * network namespace with that many rules.
 */
export const firewallSuite: Suite = {
  name: 'firewall',
  summary:
    'allow, revoke, bulk and list at 20,000 rules, and a start with them, beside iptables and nft alone',
  async run(quick) {
    const [rules, rounds] = quick ? [200, 3] : [20_000, 25];
    await using cleanup = new AsyncDisposableStack();
    const { path: folder } = cleanup.use(await scratchFolder());
    const raw = cleanup.use(await createPacketFilter(join(folder, 'raw')));
    const ours = cleanup.use(await createPacketFilter(join(folder, 'ours')));
    await Promise.all([raw.scaffold(), ours.scaffold()]);
    const { coold: program } = await bundled(join(folder, 'bundle'));
    const starting = () => startApi(program, folder, ours);
    let api = await starting();
    cleanup.defer(() => api[Symbol.asyncDispose]());
    const memory = () => residentBytes(api.pid);

    const timed: Record<string, number[]> = {};
    const time = async (subject: string, work: () => Promise<unknown>) => {
      const begun = performance.now();
      await work();
      timed[subject] = [...(timed[subject] ?? []), performance.now() - begun];
    };
    const clear = async () => {
      const all = (await api.call('GET', '/allow', undefined, 200)) as { id: string }[];
      await api.call('POST', '/allow/bulk', { remove: all.map(({ id }) => id) }, 200);
      await raw.iptables('-F', 'COOLIFY-ALLOW');
      await raw.nft('flush', 'chain', ...place);
    };
    const numbers = Array.from({ length: rules }, (_, n) => n);
    const restore = ['*filter', ...numbers.map(n => `-A COOLIFY-ALLOW ${iptablesWords(n)}`), 'COMMIT', ''];
    await writeFile(join(folder, 'raw.rules'), restore.join('\n'));
    const load = numbers.map(n => `add rule ${place.join(' ')} ${nftWords(n)}\n`).join('');
    await writeFile(join(folder, 'raw.nft'), load);

    // A small warm-up round, so that the first request is not charged with the memory of 20,000 rules.
    await api.call('POST', '/allow/bulk', { add: numbers.slice(0, 50).map(flow) }, 200);
    await clear();
    const startTimes = async (subject: string) => {
      for (let round = 0; round < (quick ? 1 : 3); round += 1) {
        await api[Symbol.asyncDispose]();
        await time(subject, async () => {
          api = await starting();
        });
      }
    };
    await startTimes('start, no rules');
    const before = await memory();
    for (let round = 0; round < (quick ? 1 : 3); round += 1) {
      if (round > 0) await time('list, and bulk that removes all of them', clear);
      // The kernel keeps announcing the removed rules to coold for a while.
      await delay(quick ? 0 : 2000);
      await time('raw: iptables-restore + nft -f', async () => {
        await raw.netns.exec('/usr/sbin/iptables-nft-restore', ['--noflush', join(folder, 'raw.rules')]);
        await raw.nft('-f', join(folder, 'raw.nft'));
      });
      await time('bulk', () => api.call('POST', '/allow/bulk', { add: numbers.map(flow) }, 200));
      // The kernel is still announcing the bulk change.
      await time('allow, right behind the bulk', () =>
        api.call('POST', '/allow', flow(3_000_000 + round), 201),
      );
    }
    await delay(quick ? 0 : 3000);
    const grown = (await memory()) - before;
    for (let round = 0; round < rounds; round += 1) {
      const n = 1_000_000 + round;
      await time('raw: iptables -A + nft add rule', async () => {
        await raw.iptables('-A', 'COOLIFY-ALLOW', ...iptablesWords(n).split(' '));
        await raw.nft('add', 'rule', ...place, ...nftWords(n).split(' '));
      });
      let id = '';
      await time('allow', async () => {
        ({ id } = (await api.call('POST', '/allow', flow(n), 201)) as { id: string });
      });
      await time('raw: iptables -D', () =>
        raw.iptables('-D', 'COOLIFY-ALLOW', ...iptablesWords(n).split(' ')),
      );
      await time('revoke', () => api.call('DELETE', `/allow/${id}`, undefined, 204));
      await time('list', () => api.call('GET', '/allow', undefined, 200));
    }
    for (let round = 0; round < (quick ? 1 : 5); round += 1) {
      const burst = Array.from({ length: 100 }, (_, n) => flow(2_000_000 + round * 100 + n));
      await time('allow, 100 at once, all of them', () =>
        Promise.all(burst.map(one => api.call('POST', '/allow', one, 201))),
      );
    }

    for (let round = 0; round < (quick ? 1 : 3); round += 1)
      await time('raw: iptables -S + nft -a list ruleset', async () => {
        await raw.iptables('-S');
        await raw.nft('-a', 'list', 'ruleset');
      });
    const started = `start, ${rules} rules`;
    await startTimes(started);
    for (let round = 0; round < (quick ? 1 : 3); round += 1) {
      await raw.iptables('-F', 'COOLIFY-ALLOW');
      await raw.nft('flush', 'chain', ...place);
      for (const table of ['inet coolify_guard', 'bridge coolify_bridge'])
        await raw.nft(`flush set ${table} allowed_ports`);
      await time('restore at boot', async () => {
        const env = { PATH: raw.path };
        const files = [join(folder, 'raw.rules'), join(folder, 'raw.nft')];
        await runChild('sh', [restoreScript, ...files], { timeoutMs: 60_000, env });
      });
    }

    const p50 = (subject: string) => summarise(timed[subject] ?? [], 1).p50;
    const ratio = (what: string, over: string, aim: string) => ({
      what: `p50, ${what} over ${over}`,
      value: p50(what) / p50(over),
      aim,
    });
    return {
      rows: Object.entries(timed).map(([subject, latencies]): { subject: string } & Measurement => ({
        subject,
        ...summarise(
          latencies,
          latencies.reduce((sum, ms) => sum + ms, 0),
        ),
      })),
      ratios: [
        ratio('allow', 'raw: iptables -A + nft add rule', 'at most 3'),
        ratio('revoke', 'raw: iptables -D', 'at most 0.5'),
        ratio('bulk', 'raw: iptables-restore + nft -f', 'at most 1.5'),
        ratio('allow, 100 at once, all of them', 'allow', 'less than 5'),
        ratio('allow, right behind the bulk', 'allow', 'less than 5'),
        ratio('restore at boot', 'raw: iptables-restore + nft -f', 'at most 2: the guard’s sets, too'),
        {
          what: `p50, what ${rules} rules add to a start over raw: iptables -S + nft -a list ruleset`,
          value: (p50(started) - p50('start, no rules')) / p50('raw: iptables -S + nft -a list ruleset'),
          aim: 'at most 1.5: a monitor reads all of them again',
        },
        { what: `${started}, p50 in ms`, value: p50(started), aim: 'at most 2000' },
        { what: `list of ${rules}, p50 in ms`, value: p50('list'), aim: 'at most 200' },
        {
          what: 'memory, MiB for 10,000 rules',
          value: (grown / 2 ** 20) * (10_000 / rules),
          aim: 'at most 20',
        },
      ],
    };
  },
};

interface Api extends AsyncDisposable {
  pid: number;
  /** Sends a request. @throws Error when the status differs from `status` */
  call(method: 'GET' | 'POST' | 'DELETE', path: string, body: unknown, status: number): Promise<unknown>;
}

async function startApi(program: string, folder: string, filter: PacketFilter): Promise<Api> {
  const token = join(folder, 'api-token');
  await writeFile(token, 'bench', { mode: 0o600 });
  const coold = startScript(program, {
    env: {
      PATH: filter.path,
      COOLD_HOST_MGMT_IP: '127.0.0.1',
      COOLD_PODMAN_SOCKET: '/nonexistent',
      COOLD_API_BIND: '127.0.0.1:0',
      COOLD_API_TOKEN_FILE: token,
      COOLD_UNIX_SOCKET_PATH: join(folder, 'coold.sock'),
      COOLD_RULES_PATH: join(folder, 'allow.rules'),
      COOLD_BRIDGE_RULES_PATH: join(folder, 'allow.nft'),
      COOLD_LOG_LEVEL: 'info',
    },
  });
  await coold.logged(line => line.msg === 'the firewall is read', 60_000);
  const { address } = await coold
    .logged(line => line.msg === 'serving the API')
    .catch(() => ({ address: '' }));
  const agent = new Agent({ connections: 100 });
  return {
    pid: coold.pid,
    async call(method, path, body, status) {
      const answer = await request(`http://${String(address)}/api/v1/firewall${path}`, {
        dispatcher: agent,
        method,
        headers: {
          authorization: 'Bearer bench',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: body === undefined ? null : JSON.stringify(body),
      });
      const text = await answer.body.text();
      if (answer.statusCode !== status) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
      return text === '' ? null : JSON.parse(text);
    },
    async [Symbol.asyncDispose]() {
      await agent.destroy();
      await coold[Symbol.asyncDispose]();
    },
  };
}

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) * 1024;
}
