import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { scratchFolder, unixHttp } from '@coold/testbed';
import { Agent, request } from 'undici';
import { type Stack, startStack } from '../stack.ts';
import { bundled } from './bundled.ts';
import { closedLoop, type Measurement, median } from './load.ts';
import { peakMb, residentMb } from './memory.ts';
import type { Suite, SuiteResult } from './suite.ts';

const mb = 1e6;

/**
 * Measures what coold adds to Podman and what streams cost, with a real coold, broker and Podman: inspect over REST
 * against Podman's own answer, in turns; many concurrent streams; one stream with a slow reader.
 */
export const verbsSuite: Suite = {
  name: 'verbs',
  summary:
    'containers.inspect over REST beside Podman itself; memory under many streams, and under one slow reader',
  async run(quick) {
    await using scratch = await scratchFolder();
    await using stack = await startStack({}, await bundled(scratch.path));
    const listening = await stack.coold.logged(({ msg }) => msg === 'serving the API');
    const api = apiOf(`http://${listening['address']}`, stack.pairing.apiToken);
    const idle = { coold: await residentMb(stack.coold.pid), broker: await residentMb(stack.broker.pid) };
    const id = await stack.podman.runTiny('subject');
    const inspects = await inspectBeside(stack, api, id, quick);
    const many = await manyStreams(stack, api, id, quick ? [10, 5] : [200, 50]);
    const slow = await slowReader(stack, quick ? 2 * mb : 100 * mb);
    return {
      ...inspects,
      figures: [
        ...(inspects.figures ?? []),
        { what: `RSS of coold, ${many.what}`, value: many.coold, unit: 'MB', aim: 'below 150' },
        ...(['coold', 'broker'] as const).flatMap(name => [
          {
            what: `RSS that ${name} grew by (from ${idle[name].toFixed(0)} MB when idle), ${slow.what}`,
            value: slow[name].grown,
            unit: 'MB' as const,
            aim: 'the garbage of a moment, however much is read',
          },
          {
            what: `of that in the second half, ${name}`,
            value: slow[name].further,
            unit: 'MB' as const,
            aim: 'about 0: flat',
          },
        ]),
      ],
    };
  },
};

interface Api {
  origin: string;
  headers: Record<string, string>;
}

const apiOf = (origin: string, token: string): Api => ({
  origin,
  headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
});

async function inspectBeside(stack: Stack, api: Api, id: string, quick: boolean): Promise<SuiteResult> {
  const [rounds, durationMs] = quick ? [1, 200] : [5, 2000];
  await using podman = unixHttp(stack.podman.socketPath);
  const dispatcher = new Agent({ connections: 1 });
  const subjects = {
    rest: async () => {
      const { statusCode, body } = await request(`${api.origin}/api/v1/containers/${id}`, {
        dispatcher,
        headers: api.headers,
      });
      await body.text();
      if (statusCode !== 200) throw new Error(`inspect answered ${statusCode}`);
    },
    podman: async () => {
      const { status } = await podman.request({ path: `/v4.0.0/libpod/containers/${id}/json` });
      if (status !== 200) throw new Error(`podman answered ${status}`);
    },
  };
  const seen: Record<keyof typeof subjects, Measurement[]> = { rest: [], podman: [] };
  for (let round = -1; round < rounds; round += 1)
    for (const name of ['rest', 'podman'] as const) {
      const measured = await closedLoop(subjects[name], { concurrency: 1, durationMs });
      if (round >= 0) seen[name].push(measured);
    }
  await dispatcher.destroy();
  const [rest, bare] = [median(seen.rest), median(seen.podman)];
  return {
    rows: [
      { subject: 'containers.inspect over REST', ...rest },
      { subject: "podman's own inspect", ...bare },
    ],
    ratios: [{ what: 'inspect p50, REST over Podman', value: rest.p50 / bare.p50, aim: 'see the next' }],
    figures: [{ what: 'p50 added by coold', value: rest.p50 - bare.p50, unit: 'ms', aim: 'at most 2' }],
  };
}

/** Opens execs and log followers of one container, makes sure that all run, and measures coold meanwhile. */
async function manyStreams(stack: Stack, api: Api, id: string, [execs, followers]: [number, number]) {
  const open: IncomingMessage[] = [];
  const start = async (options: RequestOptions, path: string, body?: object) => {
    const sent = httpRequest(`${api.origin}${path}`, { headers: api.headers, ...options });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    if (answer.statusCode !== 200) throw new Error(`${path} answered ${answer.statusCode}`);
    answer.on('error', () => {});
    open.push(answer);
    return answer;
  };
  const cmd = ['sh', '-c', 'echo running; exec cat'];
  for (let begun = 0; begun < execs; begun += 20) {
    const batch = Array.from({ length: Math.min(20, execs - begun) }, async () => {
      const answer = await start({ method: 'POST' }, `/api/v1/containers/${id}/exec`, { cmd });
      await once(answer, 'data');
      answer.resume();
    });
    await Promise.all(batch);
  }
  const follow = () => start({}, `/api/v1/containers/${id}/logs?follow=true`);
  await Promise.all(Array.from({ length: followers }, async () => (await follow()).resume()));
  const [coold = 0] = await peakMb([stack.coold.pid], delay(1000));
  for (const answer of open) answer.destroy();
  return { what: `${execs} execs and ${followers} followers open`, coold };
}

/** Reads a log of `bytes` bytes through broker.sock at 2 MB/s, and measures both programs meanwhile. */
async function slowReader(stack: Stack, bytes: number) {
  const lines = Math.ceil(bytes / 100);
  const writer = `yes ${'x'.repeat(99)} | head -n ${lines}`;
  const name = 'writer';
  const image = await stack.podman.ensureTinyImage();
  const podman = async (method: 'GET' | 'POST', path: string, json?: object) => {
    const answer = await stack.podman.request({
      method,
      path: `/v4.0.0/libpod${path}`,
      json,
      timeoutMs: 120_000,
    });
    if (answer.status >= 400) throw new Error(`podman: ${path} answered ${answer.status}: ${answer.text}`);
    return answer;
  };
  await podman('POST', '/containers/create', {
    name,
    image,
    command: ['sh', '-c', writer],
    cgroup_parent: '/coold-testbed',
  });
  await podman('POST', `/containers/${name}/start`);
  await podman('POST', `/containers/${name}/wait`);
  const before = [await residentMb(stack.coold.pid), await residentMb(stack.broker.pid)];
  const json = {
    host_id: stack.pairing.hostId,
    request_id: 'slow',
    command: { type: 'containers.logs', id: name },
  };
  const sent = httpRequest({
    socketPath: stack.pairing.socketPath,
    method: 'POST',
    path: '/v1/coold/stream',
    headers: { 'content-type': 'application/json' },
  });
  sent.end(JSON.stringify(json));
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  const chunks = (answer as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  const begun = performance.now();
  let read = 0;
  const readTo = async (end: number) => {
    while (read < end) {
      const { done, value } = await chunks.next();
      if (done === true) return;
      read += value.length;
      const ahead = read / (2 * mb) - (performance.now() - begun) / 1000;
      if (ahead > 0.01) await delay(ahead * 1000);
    }
  };
  const pids = [stack.coold.pid, stack.broker.pid];
  const first = await peakMb(pids, readTo(bytes / 2));
  const second = await peakMb(pids, readTo(Number.POSITIVE_INFINITY));
  if (read < bytes) throw new Error(`the stream ended after ${read} of more than ${bytes} bytes`);
  const grown = (program: 0 | 1) => {
    const [start = 0, half = 0, end = 0] = [before[program], first[program], second[program]];
    return { grown: Math.max(half, end) - start, further: end - half };
  };
  return { what: `${bytes / mb} MB of log read at 2 MB/s`, coold: grown(0), broker: grown(1) };
}
