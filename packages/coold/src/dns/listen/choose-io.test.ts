import { join } from 'node:path';
import { type Program, scratchFolder, startProgram } from '@coold/testbed';
import { createNetns } from '@coold/testbed/netns';
import { loadFfiIo } from '@coold/udp-io';
import { loadWrongIo } from '@coold/udp-io/testing';
import { describe, expect, it } from 'vitest';
import { silent } from '../../../test/dns-questions.ts';
import { chooseIo } from './choose-io.ts';

/** A log whose warnings are seen. */
function watchedLog() {
  const warnings: unknown[] = [];
  const log = { ...silent, warn: (fields: unknown) => void warnings.push(fields) };
  return { log, warnings };
}

describe('where the structures are not those of the kernel', () => {
  it("auto takes Node's sockets, with one line that says why", () => {
    const { log, warnings } = watchedLog();
    expect(chooseIo('auto', log, loadWrongIo).kind).toBe('node');
    expect(warnings).toEqual([{ reason: expect.stringMatching(/^the self-test failed: /) }]);
  });

  it('ffi is refused by its name, with the reason', () => {
    expect(() => chooseIo('ffi', silent, loadWrongIo)).toThrow(
      /^COOLD_DNS_IO="ffi": expected auto or node, because node:ffi cannot be used: the self-test failed: /,
    );
  });

  it('node does not care', () => {
    const { log, warnings } = watchedLog();
    expect(chooseIo('node', log, () => expect.unreachable()).kind).toBe('node');
    expect(warnings).toEqual([]);
  });
});

it.each(['auto', 'ffi'] as const)('%s takes node:ffi where it works, without a word', wish => {
  const { log, warnings } = watchedLog();
  expect(chooseIo(wish, log, loadFfiIo).kind).toBe('ffi');
  expect(warnings).toEqual([]);
});

// In a network namespace of its own; needs root.
describe('coold on a Node without node:ffi', () => {
  async function started(io: string): Promise<{ coold: Program } & AsyncDisposable> {
    const cleanup = new AsyncDisposableStack();
    const { path } = cleanup.use(await scratchFolder());
    const netns = await createNetns();
    cleanup.defer(() => netns.close());
    const env = {
      COOLD_HOST_MGMT_IP: '127.0.0.1',
      COOLD_PODMAN_SOCKET: join(path, 'podman.sock'),
      COOLD_UNIX_SOCKET_PATH: join(path, 'coold.sock'),
      COOLD_RULES_PATH: join(path, 'allow.rules'),
      COOLD_BRIDGE_RULES_PATH: join(path, 'allow.nft'),
      COOLD_NAMESPACES: 'shop:shop-mesh:192.0.2.1',
      COOLD_DNS_IO: io,
      NODE_OPTIONS: '--no-experimental-ffi',
    };
    const coold = cleanup.use(startProgram('coold', { inside: netns.pid, env }));
    return { coold, [Symbol.asyncDispose]: () => cleanup.disposeAsync() };
  }

  it('does not start with ffi, and names the variable', async () => {
    await using running = await started('ffi');
    expect((await running.coold.exited).code).toBe(2);
    expect(running.coold.lines.map(({ msg }) => msg)).toContain(
      'coold: COOLD_DNS_IO="ffi": expected auto or node, because node:ffi cannot be used: this Node has no node:ffi, or it is switched off',
    );
  });

  it('starts with auto, says once why it uses Node, and tries to listen', async () => {
    await using running = await started('auto');
    const { coold } = running;
    await coold.logged(line => line.msg === 'DNS is not answered here; trying again', 60_000);
    const said = coold.lines.filter(({ msg }) => msg?.startsWith('node:ffi cannot be used'));
    expect(said).toMatchObject([
      { component: 'coold.dns', reason: 'this Node has no node:ffi, or it is switched off' },
    ]);
    coold.signal('SIGTERM');
    expect(await coold.exited).toEqual({ code: 0, signal: null });
  }, 120_000);
});
