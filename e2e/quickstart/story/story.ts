// A deployment from a git repository to its removal, as data. Pure.
import {
  build,
  dispatch,
  exec,
  fetching,
  fetchingInVain,
  flow,
  idler,
  once,
  ruleId,
  type Scene,
  site,
  stream,
  until,
} from './calls.ts';
import type { Act, Command, Output, Step } from './step.ts';
import { getsNothing, healthy, runs, says, verdict } from './wanted.ts';

const name = 'web.default.coolify.internal';
const fetchPage = fetching(name, 5);
const fetchInVain = fetchingInVain(name);
const lookUp = ['nslookup', name];

const page = (version: number) => `<h1>version ${version}</h1>`;

/** The page of each version of the site, by its tag in the repository. */
export const versions = { v1: page(1), v2: page(2) };

/** Requests the page without pause until told to stop, and prints one line per answer. */
const visits = `until [ -e /tmp/stop ]; do ${fetching(name, 5).join(' ')} || echo FAILED; usleep 20000; done`;

/** The results of the visits. */
export interface Visits {
  requests: number;
  failed: number;
  /** The number of pages of each version. */
  v1: number;
  v2: number;
}

/** Counts the results in the output of the visits. */
export function countVisits({ lines }: Output): Visits {
  const count = (wanted: string) => lines.filter(line => line === wanted).length;
  const [v1, v2] = [count(page(1)), count(page(2))];
  return { requests: lines.length, failed: lines.length - v1 - v2, v1, v2 };
}

/** Returns the whole story. It ends with nothing running, so that its calls can be repeated in order. */
export function tellStory(scene: Scene): Step[] {
  const [visitor, first, second] = [10, 11, 12].map(number => `${scene.prefix}.${number}`) as [
    string,
    string,
    string,
  ];
  let calls = 0;
  /** Returns request ids in the order of the story: quickstart-1, quickstart-2, … */
  const id = () => {
    calls += 1;
    return `quickstart-${calls}`;
  };
  const call = (command: Command) => dispatch(scene, id(), command);
  const program = (cmd: readonly string[]) => exec(scene, id(), 'visitor', cmd);
  const image = (version: number) => `localhost/quickstart/web:v${version}`;
  const allow = (dst: string) => once(call({ type: 'firewall.allow', ...flow(visitor, dst) }));
  const revoke = (dst: string) => once(call({ type: 'firewall.revoke', id: ruleId(flow(visitor, dst)) }));
  const explain = (dst: string, word: 'passes' | 'blocked') => {
    const { namespace, ...packet } = flow(visitor, dst);
    return once(call({ type: 'firewall.explain', ...packet }), verdict(word));
  };
  const register = (container: string) => {
    const service = {
      service_id: 'web',
      name: 'web',
      namespace: 'default',
      container_id: container,
      port: 80,
    };
    return once(call({ type: 'services.register', ...service }));
  };
  const unregister = (container: string) =>
    once(call({ type: 'services.unregister', id: 'web', container_id: container }));
  const start = (container: string) => once(call({ type: 'containers.start', id: container }));
  const healthOf = (container: string) =>
    until(call({ type: 'containers.healthcheck', id: container }), healthy);
  const remove = (container: string) =>
    once(call({ type: 'containers.delete', id: container, force: true, timeout: 1 }));

  return [
    {
      title: 'build two versions of a static site from a git repository, side by side',
      acts: together(
        build(scene, 'quickstart-v1', 'v1', image(1)),
        build(scene, 'quickstart-v2', 'v2', image(2)),
      ),
    },
    {
      title: 'create and start a container of it, web-1, and another one, visitor',
      acts: [
        once(call(site(scene, 'web-1', image(1), first))),
        once(call(idler(scene, 'visitor', visitor))),
        start('web-1'),
        start('visitor'),
      ],
    },
    { title: 'wait until web-1 is healthy', acts: [healthOf('web-1')] },
    { title: 'register web-1 for the service "web"', acts: [register('web-1')] },
    { title: `resolve ${name} in visitor`, acts: [until(program(lookUp), says(first))] },
    {
      title: 'see that the flow from visitor to web-1 is shut',
      acts: [once(program(fetchInVain), getsNothing), explain(first, 'blocked')],
    },
    { title: 'allow this one flow', acts: [allow(first), explain(first, 'passes')] },
    { title: 'fetch the page in visitor', acts: [once(program(fetchPage), says(page(1)))] },
    {
      title: 'replace web-1 by web-2, of version 2, while visitor fetches the page without pause',
      acts: [
        { does: 'open', call: stream(scene, id(), 'visitor', ['sh', '-c', visits]) },
        once(call(site(scene, 'web-2', image(2), second))),
        start('web-2'),
        healthOf('web-2'),
        allow(second),
        register('web-2'),
        until(program(lookUp), says(second)),
        unregister('web-1'),
        // The visitor resolves the name for each visit. Answers may be cached for 5 s.
        until(program(lookUp), says(second, first)),
        once(program(fetchPage), says(page(2))),
        remove('web-1'),
        revoke(first),
        once(program(['touch', '/tmp/stop']), says('')),
        {
          does: 'close',
          wanted: {
            what: 'pages of both versions and no request without an answer',
            fits: output => {
              const { failed, v1, v2 } = countVisits(output);
              return output.exitCode === 0 && failed === 0 && v1 > 0 && v2 > 0;
            },
          },
        },
      ],
    },
    {
      title: 'revoke the flow',
      acts: [revoke(second), once(program(fetchInVain), getsNothing), explain(second, 'blocked')],
    },
    { title: 'list what runs', acts: [once(call({ type: 'list_containers' }), runs('visitor', 'web-2'))] },
    { title: 'retire both', acts: [unregister('web-2'), remove('web-2'), remove('visitor')] },
  ];
}

/** Starts all builds before it waits for any. */
function together(...several: Act[][]): Act[] {
  return [
    ...several.flat().filter(({ does }) => does === 'call'),
    ...several.flat().filter(({ does }) => does !== 'call'),
  ];
}
