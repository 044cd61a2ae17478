import { expect, test } from 'vitest';
import { readExplained, renderWhy } from './render-why.ts';

const flow = { src: '10.210.5.2', dst: '10.210.6.3', proto: 'tcp', port: 80 };
const ends = {
  src: {
    address: flow.src,
    name: 'web',
    container_id: 'a',
    namespace: 'shop',
    host_mgmt_ip: '100.64.0.1',
    here: true,
  },
  dst: { address: flow.dst, name: '', container_id: '', namespace: '', host_mgmt_ip: '', here: false },
};

test('a blocked flow is shown hop by hop, with what opens it', () => {
  const text = renderWhy(
    readExplained({
      verdict: 'blocked',
      ...ends,
      proto: 'tcp',
      port: 80,
      elsewhere: [],
      notes: ['a note'],
      hops: [
        { hop: 'bridge', verdict: 'passes', why: 'no rule drops it' },
        {
          hop: 'forward',
          verdict: 'blocked',
          why: 'no allow rule lets it pass, so the rule drops it',
          by: { chain: 'inet coolify_guard to_container', text: 'drop', rule_ids: [] },
        },
      ],
      allow: flow,
    }),
  );
  expect(text).toBe(`web.shop (10.210.5.2) -> 10.210.6.3, tcp/80: BLOCKED

  the bridge of both          passes    no rule drops it
  this host's FORWARD         BLOCKED   no allow rule lets it pass, so the rule drops it
                                        inet coolify_guard to_container: drop

to open it, call firewall.allow of this host with
  {"src":"10.210.5.2","dst":"10.210.6.3","proto":"tcp","port":80}

note: a note
`);
});

test('the call for the other host is shown', () => {
  const text = renderWhy(
    readExplained({
      verdict: 'passes',
      ...ends,
      notes: [],
      hops: [{ hop: 'source_forward', verdict: 'passes', why: 'no rule drops it' }],
      elsewhere: [{ host_mgmt_ip: '100.64.0.2', command: { type: 'firewall.explain', ...flow } }],
    }),
  );
  expect(text).toContain('any protocol: passes, as far as this host is concerned');
  expect(text).toContain(
    'host 100.64.0.2 judges the rest: run there\n  coold why 10.210.5.2 10.210.6.3 tcp/80\n',
  );
  expect(text).toContain(
    '{"type":"firewall.explain","src":"10.210.5.2","dst":"10.210.6.3","proto":"tcp","port":80}',
  );
});
