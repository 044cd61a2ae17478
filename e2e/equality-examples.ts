// Example requests for every verb with a place on REST, for the test that both transports answer the same.

export interface Example {
  fields?: Record<string, unknown>;
  /** Prepares the host before each of the two requests. */
  prepare?: () => Promise<unknown>;
  /** Compares only names and types, because the values differ between calls. */
  varies?: true;
}

export interface Examples {
  answered: Example[];
  refused: (Example & { code: number; field?: string })[];
  /** Examples for verbs that stream, which are requested only as a stream, in addition to those above. */
  streamed?: (Example & {
    /** Lines that are sent as its input once it has begun. When they are refused, the caller disconnects. */
    input?: object[];
    inputRefused?: { code: number; field: string };
  })[];
}

/** Functions that bring a host into the state that an example needs. */
export interface HostHands {
  /** Calls a verb. @returns the data of the answer @throws Error when it has none */
  call(name: string, fields: Record<string, unknown>): Promise<unknown>;
  absent(kind: 'images' | 'containers' | 'volumes' | 'networks', name: string): Promise<void>;
  /** Replaces the container of that name by one that was never started. */
  fresh(name: string): Promise<void>;
  revokeAll(): Promise<void>;
  /** Returns the host's own token from its file. */
  token(): string;
}

export const image = 'localhost/tiny:latest';
export const spare = '127.0.0.1:5000/tiny:1';
export const web = { image, name: 'web', network: 'n', stop_timeout: 0 };

/** Podman 5 orders variables arbitrarily. */
const printEnv = ['/bin/busybox', 'sh', '-c', 'echo "$PORT $DEBUG"'];
const cat = { id: 'web', cmd: ['/bin/busybox', 'cat'] };
const size = { code: 400, field: 'lines[0].resize.cols' };
const shop = { service_id: 's', name: 'shop', namespace: 'default', container_id: 'web', port: 80 };
const flow = { src: '10.210.5.2', dst: '10.210.6.3', proto: 'tcp', port: 80 };
/** Addresses on a bridge that the test creates. */
export const explained = { gateway: '10.231.77.1', one: '10.231.77.2', other: '10.231.77.3' };
const flowId = '644d80ecc835';

export const examplesOf = ({
  call,
  absent,
  fresh,
  revokeAll,
  token,
}: HostHands): Record<string, Examples> => ({
  'images.pull': {
    answered: [
      { fields: { ref: spare } },
      { fields: { ref: spare }, prepare: () => absent('images', spare) },
    ],
    refused: [
      { fields: { ref: 'dir:/etc' }, code: 400, field: 'ref' },
      { fields: { ref: '127.0.0.1:5000/tiny:none' }, code: 404, field: 'ref' },
      { fields: { ref: spare, auth: { username: 'robot' } }, code: 400, field: 'auth.password' },
      { fields: { ref: spare, auth: { username: 5 } }, code: 400, field: 'auth.username' },
    ],
  },
  'images.list': { answered: [{}], refused: [{ fields: { nosuch: 'x' }, code: 400, field: 'nosuch' }] },
  'images.delete': {
    answered: [{ fields: { ref: spare }, prepare: () => call('images.pull', { ref: spare }) }],
    refused: [
      { fields: { ref: 'localhost/nosuch:1' }, code: 404 },
      { fields: { ref: image }, code: 409 },
      { fields: { ref: 'a b?#%/é' }, code: 400, field: 'ref' },
    ],
  },
  'containers.list': {
    answered: [
      {},
      { fields: { name: 'web', label: ['nosuch'] } },
      { fields: { state: 'running', limit: 1 } },
    ],
    refused: [
      { fields: { limit: 0 }, code: 400, field: 'limit' },
      { fields: { label: ['=x'] }, code: 400, field: 'label[0]' },
      { fields: { nosuch: 'x' }, code: 400, field: 'nosuch' },
    ],
  },
  'host.jwt.set': {
    answered: [
      {
        get fields() {
          return { token: token() };
        },
      },
    ],
    refused: [
      { fields: { token: 'x' }, code: 400, field: 'token' },
      { fields: {}, code: 400, field: 'token' },
    ],
  },
  'coold.logs': {
    answered: [{ fields: {} }, { fields: { tail: 3 } }],
    refused: [{ fields: { tail: 100_001 }, code: 400, field: 'tail' }],
    streamed: [{ fields: { tail: 0 } }],
  },
  'host.events': {
    answered: [{ fields: { follow: false }, varies: true }],
    refused: [{ fields: { since: 'yesterday', follow: false }, code: 400, field: 'since' }],
    streamed: [{ fields: { follow: false }, varies: true }],
  },
  'mesh.forget': {
    answered: [{ fields: { host_mgmt_ip: '100.64.255.254' } }],
    refused: [
      { fields: { host_mgmt_ip: '127.0.0.1' }, code: 409, field: 'host_mgmt_ip' },
      { fields: { host_mgmt_ip: 'somewhere' }, code: 400, field: 'host_mgmt_ip' },
    ],
  },
  'containers.create': {
    answered: [
      { fields: { image, name: 'new' }, prepare: () => absent('containers', 'new'), varies: true },
      // PHP encodes empty or absent values like this.
      {
        fields: {
          image,
          name: 'new',
          env: [],
          labels: [],
          mounts: [],
          ports: null,
          healthcheck: null,
          restart_policy: null,
          resources: [],
        },
        prepare: () => absent('containers', 'new'),
        varies: true,
      },
    ],
    refused: [
      { fields: { image, name: 'new', cap_add: ['SYS_ADMIN'] }, code: 403, field: 'cap_add[0]' },
      {
        fields: { image, name: 'new', mounts: [{ bind: '/etc', target: '/x' }] },
        code: 403,
        field: 'mounts[0].bind',
      },
      { fields: { image, hooks: [] }, code: 400, field: 'hooks' },
      { fields: { image: 'localhost/nosuch:1', name: 'new' }, code: 404, field: 'image' },
      { fields: web, code: 409, field: 'name' },
    ],
  },
  'containers.start': {
    answered: [
      { fields: { id: 'web' } },
      { fields: { id: 'web' }, prepare: () => call('containers.stop', { id: 'web' }) },
    ],
    refused: [{ fields: { id: 'nosuch' }, code: 404 }],
  },
  'containers.restart': {
    answered: [{ fields: { id: 'web' } }, { fields: { id: 'web', timeout: 0 } }],
    refused: [
      { fields: { id: 'nosuch' }, code: 404 },
      { fields: { id: '../web' }, code: 400, field: 'id' },
      { fields: { id: 'web', timeout: 86_401 }, code: 400, field: 'timeout' },
    ],
  },
  'containers.stop': {
    answered: [{ fields: { id: 'other', timeout: 0 } }, { fields: { id: 'other' } }],
    refused: [
      { fields: { id: 'nosuch' }, code: 404 },
      { fields: { id: 'other', timeout: 'soon' }, code: 400, field: 'timeout' },
      { fields: { id: 'other', timeout: 86_401 }, code: 400, field: 'timeout' },
    ],
  },
  'containers.delete': {
    answered: [
      { fields: { id: 'new' }, prepare: () => fresh('new') },
      {
        fields: { id: 'new', force: true, timeout: 1 },
        prepare: async () => {
          await fresh('new');
          await call('containers.start', { id: 'new' });
        },
      },
    ],
    refused: [
      { fields: { id: 'nosuch', timeout: 86_401 }, code: 400, field: 'timeout' },
      { fields: { id: 'nosuch' }, code: 404 },
      { fields: { id: 'web', force: false }, code: 409 },
    ],
  },
  'containers.inspect': {
    answered: [{ fields: { id: 'other' } }, { fields: { id: 'web' } }],
    refused: [
      { fields: { id: 'nosuch' }, code: 404 },
      { fields: { id: 'ü' }, code: 400, field: 'id' },
    ],
  },
  // These verbs stream on REST and are bounded in a plain dispatch. Their complete output is compared.
  'containers.logs': {
    answered: [{ fields: { id: 'talker' } }, { fields: { id: 'talker', tail: 1, timestamps: true } }],
    refused: [
      { fields: { id: 'nosuch' }, code: 404 },
      { fields: { id: 'talker', tail: -1 }, code: 400, field: 'tail' },
      { fields: { id: 'talker', tail: 4_294_967_295 }, code: 400, field: 'tail' },
      { fields: { id: 'talker', stdout: false }, code: 400, field: 'stdout' },
    ],
    streamed: [{ fields: { id: 'brief', follow: true } }, { fields: { id: 'brief', stderr: true } }],
  },
  'containers.exec': {
    answered: [
      { fields: { id: 'web', cmd: ['/bin/busybox', 'echo', 'hé'] } },
      { fields: { id: 'web', cmd: ['/bin/busybox', 'sh', '-c', 'exit 3'], env: { A: 'b' } } },
      { fields: { id: 'web', cmd: printEnv, env: { PORT: 8080, DEBUG: true } } },
      { fields: { id: 'web', cmd: ['/bin/busybox', 'tty'], tty: true } },
    ],
    refused: [
      { fields: { id: 'web', cmd: [] }, code: 400, field: 'cmd' },
      { fields: { id: 'web', cmd: ['a'], workdir: 'x' }, code: 400, field: 'workdir' },
      { fields: { id: 'nosuch', cmd: ['a'] }, code: 404 },
      { fields: { id: 'other', cmd: ['a'] }, code: 409 },
    ],
    streamed: [
      { fields: cat, input: [{ stdin: 'é' }, { stdin: '/w==', encoding: 'base64' }, { eof: true }] },
      { fields: cat, input: [{ stdin: 5 }], inputRefused: { code: 400, field: 'lines[0].stdin' } },
      { fields: cat, input: [{ resize: { cols: 0, rows: 1 } }], inputRefused: size },
      {
        // The command still runs when more input arrives after the end of its input.
        fields: { id: 'web', cmd: ['/bin/busybox', 'sleep', '1000'] },
        input: [{ eof: true }, { stdin: 'more' }],
        inputRefused: { code: 409, field: 'stdin' },
      },
    ],
  },
  'containers.healthcheck': {
    answered: [{ fields: { id: 'web' } }],
    refused: [
      { fields: { id: 'nosuch' }, code: 404 },
      { fields: { id: 'other' }, code: 409 },
    ],
  },
  'volumes.create': {
    answered: [
      { fields: { name: 'v' } },
      { fields: { name: 'w', labels: { a: 'é' } }, prepare: () => absent('volumes', 'w'), varies: true },
    ],
    refused: [
      { fields: {}, code: 400, field: 'name' },
      { fields: { name: 'w', labels: { a: 1 } }, code: 400, field: 'labels.a' },
    ],
  },
  'volumes.delete': {
    answered: [{ fields: { name: 'w' }, prepare: () => call('volumes.create', { name: 'w' }) }],
    refused: [
      { fields: { name: 'nosuch' }, code: 404 },
      { fields: { name: 'v' }, code: 409 },
    ],
  },
  'volumes.inspect': {
    answered: [{ fields: { name: 'v' } }],
    refused: [{ fields: { name: 'nosuch' }, code: 404 }],
  },
  'networks.create': {
    answered: [
      {
        fields: { name: 'm', namespace: 'default', subnet: '10.231.6.0/24', gateway: '10.231.6.9' },
        prepare: () => absent('networks', 'm'),
      },
    ],
    refused: [
      { fields: { name: 'n', subnet: '10.231.7.0/24' }, code: 409, field: 'name' },
      { fields: { name: 'm2', subnet: '10.231.5.128/25' }, code: 409, field: 'subnet' },
      { fields: { name: 'm2', driver: 'macvlan' }, code: 400, field: 'driver' },
      { fields: { name: 'm2', namespace: 'elsewhere' }, code: 400, field: 'namespace' },
    ],
  },
  'networks.delete': {
    answered: [
      {
        fields: { name: 'm' },
        prepare: async () => {
          await absent('networks', 'm');
          await call('networks.create', { name: 'm' });
        },
      },
    ],
    refused: [
      { fields: { name: 'nosuch' }, code: 404 },
      { fields: { name: 'n' }, code: 409 },
      { fields: { name: 'podman' }, code: 409 },
    ],
  },
  'networks.list': { answered: [{}], refused: [{ fields: { nosuch: 'x' }, code: 400, field: 'nosuch' }] },
  'firewall.allow': {
    answered: [
      { fields: flow },
      { fields: { ...flow, namespace: 'shop' }, prepare: revokeAll },
      { fields: { src: '10.210.0.2', dst: '10.210.0.3', id: '06386f90350d' } },
    ],
    refused: [
      { fields: { ...flow, src: '10.210.0.0/24' }, code: 400, field: 'src' },
      { fields: { ...flow, dst: 'fd00::1' }, code: 400, field: 'dst' },
      { fields: { ...flow, proto: 'TCP ' }, code: 400, field: 'proto' },
      { fields: { ...flow, port: 0 }, code: 400, field: 'port' },
      { fields: { ...flow, port: '80' }, code: 400, field: 'port' },
      { fields: { ...flow, namespace: 'a"\n' }, code: 400, field: 'namespace' },
      { fields: { ...flow, id: '000000000000' }, code: 400, field: 'id' },
    ],
  },
  'firewall.revoke': {
    answered: [
      { fields: { id: flowId }, prepare: () => call('firewall.allow', flow) },
      { fields: { id: '000000000000' } },
    ],
    refused: [{ fields: { id: 'x' }, code: 400, field: 'id' }],
  },
  'firewall.list': {
    answered: [{ prepare: () => call('firewall.allow', flow) }, { fields: { namespace: 'nobody' } }],
    refused: [
      { fields: { namespace: 'A' }, code: 400, field: 'namespace' },
      { fields: { nosuch: 'x' }, code: 400, field: 'nosuch' },
    ],
  },
  'firewall.show': {
    answered: [{ fields: { id: flowId }, prepare: () => call('firewall.allow', flow) }],
    refused: [
      { fields: { id: '000000000000' }, code: 404 },
      { fields: { id: '../../x' }, code: 400, field: 'id' },
    ],
  },
  'firewall.bulk': {
    answered: [
      { fields: { add: [flow, { ...flow, port: 81 }], remove: ['000000000000'] }, prepare: revokeAll },
    ],
    refused: [
      { fields: { add: [flow, { ...flow, src: '10.1' }] }, code: 400, field: 'add[1].src' },
      { fields: { add: [flow], remove: [flowId] }, code: 400, field: 'add[0]' },
      { fields: { remove: ['0'] }, code: 400, field: 'remove[0]' },
    ],
  },
  'firewall.reconcile': { answered: [{}], refused: [{ fields: { force: true }, code: 400, field: 'force' }] },
  'firewall.status': { answered: [{}], refused: [{ fields: { nosuch: 'x' }, code: 400, field: 'nosuch' }] },
  'firewall.explain': {
    answered: [
      { fields: { src: explained.one, dst: explained.other, proto: 'tcp', port: 80 } },
      { fields: { src: explained.one, dst: explained.other } },
    ],
    refused: [
      { fields: { src: '', dst: 'web' }, code: 400, field: 'src' },
      { fields: { src: 'nosuch', dst: 'web' }, code: 404, field: 'src' },
      { fields: { src: 'web', dst: 'fd00::1' }, code: 400, field: 'dst' },
      { fields: { src: 'web', dst: explained.gateway }, code: 400, field: 'dst' },
      { fields: { src: 'web', dst: '198.51.100.9' }, code: 400, field: 'dst' },
      { fields: { src: 'web', dst: 'web' }, code: 400, field: 'dst' },
      { fields: { src: 'web', dst: 'nosuch.default.coolify.internal' }, code: 404, field: 'dst' },
      { fields: { src: explained.one, dst: explained.other, proto: 'icmp' }, code: 400, field: 'proto' },
      { fields: { src: explained.one, dst: explained.other, port: 80 }, code: 400, field: 'port' },
    ],
  },
  'services.register': {
    answered: [{ fields: shop }, { fields: { ...shop, port: 0 } }],
    refused: [
      { fields: { ...shop, container_id: 'nosuch' }, code: 404 },
      { fields: { ...shop, name: 'a.b' }, code: 400, field: 'name' },
      { fields: { ...shop, namespace: '' }, code: 400, field: 'namespace' },
      { fields: { ...shop, port: 65_536 }, code: 400, field: 'port' },
    ],
  },
  'services.unregister': {
    answered: [
      { fields: { id: 's', container_id: 'web' }, prepare: () => call('services.register', shop) },
      { fields: { id: 'nosuch', container_id: 'nosuch' } },
    ],
    refused: [{ fields: { id: 's', container_id: 'a b' }, code: 400, field: 'container_id' }],
  },
  'services.endpoints': {
    answered: [
      // The directory learns of a change to a container a moment later.
      { fields: { id: 's' }, prepare: () => call('services.register', shop), varies: true },
      { fields: { id: 'nosuch' } },
    ],
    refused: [{ fields: { id: 's', nosuch: 'x' }, code: 400, field: 'nosuch' }],
  },
  'dns.lookup': {
    answered: [
      { fields: { name: 'Default.coolify.internal' } },
      { fields: { name: 'web.coolify.internal' } },
    ],
    refused: [{ fields: { name: 'a b?#%/é' }, code: 400, field: 'name' }],
  },
  'dns.stats': {
    answered: [{ varies: true }],
    refused: [{ fields: { nosuch: 'x' }, code: 400, field: 'nosuch' }],
  },
  'host.info': {
    answered: [{ varies: true }],
    refused: [{ fields: { nosuch: 'x' }, code: 400, field: 'nosuch' }],
  },
  'host.containers': { answered: [{}], refused: [{ fields: { nosuch: 'x' }, code: 400, field: 'nosuch' }] },
  'host.stats': {
    answered: [{ varies: true }],
    refused: [{ fields: { nosuch: 'x' }, code: 400, field: 'nosuch' }],
  },
});
