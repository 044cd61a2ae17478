// Which room may import from which: `npm run check` fails where an arrow points the wrong way. What only types need is left out:
// it is gone before a program runs.

/** Everything that is only for tests. */
const tests = '(\\.test\\.ts$|/(test|testbed)/|testing\\.ts$|^e2e/)';
const values = { dependencyTypesNot: ['type-only'] };

/**
 * Rooms of a program from its top to its bottom: none imports from one above it.
 * @param {string} root
 * @param {readonly string[]} layers each a pattern of paths below the root
 */
function downwards(root, layers) {
  return layers
    .slice(1)
    .map((layer, at) => ({
      name: `${root}: ${layer} imports from nothing above it`,
      severity: 'error',
      from: { path: `^${root}/(${layer})`, pathNot: tests },
      to: { path: `^${root}/(${layers.slice(0, at + 1).join('|')})`, pathNot: tests, ...values },
    }));
}

module.exports = {
  forbidden: [
    { name: 'no circle of imports', severity: 'error', from: {}, to: { circular: true, viaOnly: values } },
    {
      name: 'no package imports from the tests of the whole',
      severity: 'error',
      from: { path: '^(packages|proto)/', pathNot: tests },
      to: { path: '^(e2e|packaging|setup)/' },
    },
    {
      name: 'nothing but tests imports from the testbed',
      severity: 'error',
      from: { path: '^(packages|proto)/', pathNot: tests },
      to: { path: '^packages/testbed/' },
    },
    {
      name: "Corrosion's stand-in imports its own files alone: they are copied to hosts that have nothing else",
      severity: 'error',
      from: { path: '^packages/testbed/src/corrosion/', pathNot: '\\.test\\.ts$' },
      to: { pathNot: '^packages/testbed/src/corrosion/', dependencyTypesNot: ['core', 'type-only'] },
    },
    {
      name: 'what ships imports nothing that is for tests',
      severity: 'error',
      from: { path: '^(packages|proto)/', pathNot: tests },
      to: { path: tests, ...values },
    },
    {
      name: 'what every program shares imports from none of them',
      severity: 'error',
      from: { path: '^(proto|packages/(runtime|errors|openapi|corrosion|udp-io))/', pathNot: tests },
      to: { path: '^packages/(broker|coold|builder|builder-core)/' },
    },
    {
      name: 'a program imports from no other',
      severity: 'error',
      from: { path: '^packages/(broker|coold|builder)/', pathNot: tests },
      to: { path: '^packages/(broker|coold|builder)/', pathNot: '^packages/$1/' },
    },
    ...downwards('packages/broker/src', [
      'main\\.ts|commands\\.ts|serve\\.ts|parts\\.ts',
      'doctor/',
      'status/',
      'config\\.ts|lane/|agent/',
      'peers/',
      'builds/',
      'streams/',
      'dispatch/',
      'hosts/',
      'grpc/',
    ]),
    ...downwards('packages/broker/src/peers', [
      'peers\\.ts',
      'builds/|fleet/',
      'forward/|revocations/',
      'membership/|routes/',
      'link/|peer-options\\.ts',
    ]),
    ...downwards('packages/builder-core/src', [
      'index\\.ts|pipeline\\.ts',
      'buildah/',
      'registry/',
      'stacks/',
      'repository/',
      'disk/|storage/',
      'containerfile/',
      'tools/',
      'request/|progress\\.ts|scratch\\.ts|build-failure\\.ts',
    ]),
    ...downwards('packages/coold/src', [
      'main\\.ts|commands\\.ts|daemon\\.ts|daemon/',
      'support/',
      'doctor/',
      'status/|why/',
      'config\\.ts|transport/',
      'verbs/',
      'builds/|dns/|discovery/|events/|firewall/|link/',
      'processes/',
      'podman/',
    ]),
    ...downwards('packages/coold/src/discovery', [
      'discovery-metrics\\.ts',
      'discovery\\.ts',
      'sync\\.ts',
      'containers/',
      'corrosion/',
      'directory/',
      'hosts/',
      'endpoint\\.ts|namespaces\\.ts',
    ]),
    ...downwards('packages/coold/src/builds', ['[^/]+\\.ts', 'unit/', 'network/', 'folder/']),
    ...downwards('packages/coold/src/firewall', [
      'firewall\\.ts',
      'keep/',
      'explain/|scaffold/|store/',
      'planes/',
      'deny/',
      'rule/|netlink/',
    ]),
    ...downwards('packages/coold/src/firewall/planes', ['follow/', '[^/]+\\.ts|monitor/']),
    ...downwards('packages/coold/src/firewall/explain', ['[^/]+\\.ts', 'packet/', 'kernel/']),
    ...downwards('packages/runtime/src', [
      'index\\.ts',
      'daemon/',
      'checks/|http/',
      'config/',
      'files/',
      'logs/',
      'processes/|waits/',
      'image-reference\\.ts|regular-file\\.ts|unknown-values\\.ts|unusable\\.ts',
    ]),
    ...downwards('packages/udp-io/src', ['udp-io\\.ts|open-udp\\.ts', 'ffi/|node/', 'udp\\.ts|ipv4\\.ts']),
    ...downwards('packages/coold/src/dns', ['dns\\.ts', 'listen/', 'forward/', 'zone/']),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: 'node_modules|proto/gen' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.mjs', '.js'],
    },
  },
};
