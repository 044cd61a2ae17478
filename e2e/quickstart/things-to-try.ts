// Six complete commands for a reader to try while the quickstart runs. Pure.
import { asCurl, quoted } from './curl.ts';
import { build, dispatch, exec, fetching, flow, type Scene } from './story/calls.ts';

export interface Thing {
  title: string;
  /** The shell command. */
  command: string;
}

/** The containers to play with, and the last numbers of their addresses. */
export const playground = { shop: 21, guest: 20 } as const;

export interface Ground {
  scene: Scene;
  socketPath: string;
  /** The words before a command that run it on the host. */
  onHost: string;
  /** The working tree of the repository. */
  repositoryPath: string;
  /** URL of the REST API. */
  api: string;
}

export function thingsToTry({ scene, socketPath, onHost, repositoryPath, api }: Ground): Thing[] {
  const on = quoted(onHost);
  const [shop, guest] = [playground.shop, playground.guest].map(number => `${scene.prefix}.${number}`) as [
    string,
    string,
  ];
  const curl = (call: Parameters<typeof asCurl>[1]) => asCurl(socketPath, call);
  const name = 'shop.default.coolify.internal';
  const fetchPage = exec(scene, 'mine-3', 'guest', fetching(name, 5));
  const [built, result] = build(scene, 'mine-4', 'main', 'localhost/quickstart/mine:v1')
    .flatMap(act => (act.does === 'call' || act.does === 'wait' ? [act.call] : []))
    .map(curl);
  const edit = `echo '<h1>mine</h1>' > ${quoted(`${repositoryPath}/dist/index.html`)}`;
  const commit = `git -C ${quoted(repositoryPath)} commit -qam mine --allow-empty`;
  return [
    { title: 'see how both programs are', command: `${on} coold status && ${on} broker status` },
    {
      title: 'resolve a name, inside the container "guest"',
      command: `${on} podman exec guest nslookup ${name}`,
    },
    {
      title: 'ask the host why guest does not reach shop: no rule allows it (exit code 1)',
      command: `${on} coold why guest shop tcp/80`,
    },
    {
      title: 'allow it, and fetch the page',
      command: `${curl(dispatch(scene, 'mine-2', { type: 'firewall.allow', ...flow(guest, shop) }))} && ${curl(fetchPage)}`,
    },
    {
      title: 'change the page in its repository, and build an image of it',
      command: `${edit} && ${commit} && ${built} && ${result}`,
    },
    {
      title: 'ask the host itself, over REST',
      command: `${on} sh -c ${quoted(`curl -sS -H "Authorization: Bearer $(cat /etc/coolify/api-token)" http://${api}/api/v1/host/info`)}`,
    },
  ];
}
