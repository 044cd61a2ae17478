// What is not read is never passed over in silence: real tc filters and XDP programs at the interfaces of a flow. Needs root.
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { at, createScaffoldLab, dropMs, type Lab } from '../../../test/scaffold-lab.ts';
import type { ExplainedFlow } from './explain-flow.ts';

const child = fileURLToPath(new URL('../../../test/explaining-child.ts', import.meta.url));

let lab: Lab;
beforeAll(async () => {
  lab = await createScaffoldLab();
  await lab.apply();
  await lab.allow(at.a1, at.b1, 'tcp', '80');
}, 60_000);
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
});

/** @param before a program that runs the one behind it, with its arguments */
async function explain(
  ...before: readonly string[]
): Promise<{ allowed: ExplainedFlow; denied: ExplainedFlow }> {
  const flow = { src: at.a1, dst: at.b1, proto: 'tcp', port: 80 };
  const [program = '', ...args] = [...before, process.execPath, child];
  const { stdout } = await lab.host.exec(program, args, {
    input: JSON.stringify([flow, { ...flow, port: 81 }]),
    env: lab.env,
  });
  const [allowed, denied] = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as ExplainedFlow);
  if (allowed === undefined || denied === undefined) throw new Error('a question was not answered');
  return { allowed, denied };
}

const verdicts = ({ hops }: ExplainedFlow) => hops.map(({ verdict }) => verdict);

test.each([
  ['br-a', 'clsact', 'ingress', 'what comes in by br-a'],
  ['br-b', 'clsact', 'egress', 'what goes out by br-b'],
  ['a1', 'ingress', 'ingress', 'what comes in by a1'],
])('a filter of tc at %s (%s, %s)', async (device, qdisc, side, place) => {
  expect(verdicts((await explain()).allowed)).toEqual(['passes', 'passes', 'passes']);
  await lab.host.exec('tc', ['qdisc', 'add', 'dev', device, qdisc]);
  // Without a filter it does nothing.
  expect(verdicts((await explain()).allowed)).toEqual(['passes', 'passes', 'passes']);
  // A program of BPF, as numbers: it matches every packet.
  const program = ['bpf', 'bytecode', '1,6 0 0 4294967295', 'classid', '1:1'];
  await lab.host.exec('tc', ['filter', 'add', 'dev', device, side, ...program]);
  const { allowed, denied } = await explain();
  await lab.host.exec('tc', ['qdisc', 'del', 'dev', device, qdisc]);
  expect(verdicts(allowed)).toEqual(['unknown', 'passes', 'passes']);
  expect(allowed.hops[0]?.why).toBe(`coold does not read the tc filter (bpf) of ${place}`);
  // What is blocked is blocked whatever that does; whether a rule would open it is not known.
  expect(verdicts(denied)).toContain('blocked');
  expect(denied.ruleOpens).toBe(false);
  expect(verdicts((await explain()).allowed)).toEqual(['passes', 'passes', 'passes']);
});

test('ports of a bridge that are isolated', async () => {
  await lab.allow(at.a1, at.a2, 'tcp', '80');
  const within = { src: at.a1, dst: at.a2, proto: 'tcp', port: 80 };
  const isolate = (port: string, how: 'on' | 'off') =>
    lab.host.exec('bridge', ['link', 'set', 'dev', port, 'isolated', how]);
  const arrived = await lab.count(lab.a2, 'tcp dport 80');
  const asked = async () => {
    const { stdout } = await lab.host.exec(process.execPath, [child], {
      input: JSON.stringify([within]),
      env: lab.env,
    });
    return JSON.parse(stdout) as ExplainedFlow;
  };
  await isolate('a1', 'on');
  // One alone reaches the others.
  expect(verdicts(await asked())).toEqual(['passes', 'passes']);
  await isolate('a2', 'on');
  const isolated = await asked();
  await lab.a1.reach('tcp', at.a2, 80, dropMs);
  expect(await arrived()).toBe(0);
  await Promise.all([isolate('a1', 'off'), isolate('a2', 'off')]);
  expect(verdicts(isolated)).toEqual(['unknown', 'passes']);
  expect(isolated.hops[0]?.why).toBe('coold does not read which ports of br-a are isolated from each other');
});

test('a filter at another interface does not matter', async () => {
  await lab.host.exec('tc', ['qdisc', 'add', 'dev', 'podman0', 'clsact']);
  const program = ['bpf', 'bytecode', '1,6 0 0 4294967295', 'classid', '1:1'];
  await lab.host.exec('tc', ['filter', 'add', 'dev', 'podman0', 'ingress', ...program]);
  expect(verdicts((await explain()).allowed)).toEqual(['passes', 'passes', 'passes']);
});

/** Attaches an XDP program of two instructions, which passes everything, as long as the program that it runs lasts. */
const attaching = `
import ctypes, os, platform, socket, struct, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
number = 321 if platform.machine() == 'x86_64' else 280
def bpf(command, attributes):
    memory = ctypes.create_string_buffer(attributes, 128)
    fd = libc.syscall(number, command, memory, 128)
    if fd < 0: raise OSError(ctypes.get_errno(), 'bpf')
    return fd
instructions = ctypes.create_string_buffer(struct.pack('<BBhi', 0xb7, 0, 0, 2) + struct.pack('<BBhi', 0x95, 0, 0, 0))
license = ctypes.create_string_buffer(b'GPL')
program = bpf(5, struct.pack('<IIQQ', 6, 2, ctypes.addressof(instructions), ctypes.addressof(license)))
link = bpf(28, struct.pack('<IIII', program, socket.if_nametoindex(sys.argv[1]), 37, 2))
sys.exit(subprocess.run(sys.argv[2:]).returncode)
`;

test.each(['br-a', 'b1'])('an XDP program at %s', async device => {
  const { allowed, denied } = await explain('python3', '-c', attaching, device);
  expect(verdicts(allowed)).toEqual(['unknown', 'passes', 'passes']);
  expect(allowed.hops[0]?.why).toBe(`coold does not read the XDP program at ${device}`);
  expect(verdicts(denied)).toContain('blocked');
  expect(verdicts((await explain()).allowed)).toEqual(['passes', 'passes', 'passes']);
});
