// Follows docs/guide/first-app.md from its first block to its last on one bare host. The repository is on a second
// host, which also stands in for docker.io, since lab hosts reach neither the internet nor a Debian mirror.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';
import { readGuide } from '../docs/guide.ts';
import { fencesOf } from '../docs/markdown.ts';
import { root } from '../docs/tree.ts';
import { cutApt, putArchive, putCorrosion, standInForDockerHub } from '../harness/bare-hosts.ts';
import { startGitServer } from '../harness/build-lane.ts';
import { printJournals } from '../harness/fleet.ts';
import { followSection, type GuideReader } from '../harness/follow-guide.ts';
import type { Provider } from '../harness/provider.ts';
import { chooseGround } from './provider.ts';

const setUpMs = 15 * 60_000;
const sectionMs = 5 * 60_000;

const page = readFileSync(join(root, 'docs/guide/first-app.md'), 'utf8');
const sections = readGuide(page);

let provider: Provider | undefined;
let reader: GuideReader | undefined;

beforeAll(async () => {
  ({ provider } = await chooseGround());
  const [server, beside] = await provider.up([{ name: 'server', system: 'debian-13' }, 'beside']);
  if (server === undefined || beside === undefined) throw new Error('two hosts were asked for');
  const git = await startGitServer(beside);
  const file = (language: string) =>
    fencesOf(page).find(fence => fence.language === language)?.text ??
    expect.fail(`no ${language} in the page`);
  await git.repository('hello', { Dockerfile: file('dockerfile'), 'index.html': file('html') });
  const [folder] = await Promise.all([
    putArchive(server),
    provider.name === 'lab' ? cutApt(server) : undefined,
    putCorrosion(server, [server]),
    standInForDockerHub(beside, [server, beside]),
  ]);
  // The builds of the page use the internet; here its stand-in has a private address.
  const reachable = `COOLD_BUILDER_ENABLED=1\nCOOLD_BUILDER_ALLOW_NETS=${beside.address}/32`;
  reader = {
    machines: { 'the server': server },
    eachHost: [],
    adapt: text =>
      text
        .replaceAll('203.0.113.10', server.address)
        .replaceAll('coold-0.1.0-linux-x64', folder)
        .replaceAll('https://git.example.com/acme/hello.git', `${git.url}/hello`)
        .replaceAll('COOLD_BUILDER_ENABLED=1', reachable),
  };
}, setUpMs);
afterAll(() => provider?.close(), setUpMs);

test.each(sections.filter(({ steps }) => steps.length > 0))(
  'first app guide: $title',
  async section => {
    const follower = reader ?? expect.fail('the machines did not come up');
    onTestFailed(() => printJournals(Object.values(follower.machines)));
    await followSection(section, sections, follower);
  },
  sectionMs,
);
