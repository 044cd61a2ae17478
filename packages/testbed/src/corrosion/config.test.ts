import { expect, test } from 'vitest';
import { parseAgentConfig } from './config.ts';

const text = `
# as installed
[db]
path = "/var/lib/corrosion/corrosion.db"
schema_paths = ["/etc/corrosion/schemas"]

[gossip]
addr = "100.64.0.1:8787"
bootstrap = ["100.64.0.2:8787", "100.64.0.3:8787"]
plaintext = true

[api]
addr = "127.0.0.1:8080"
`;

test("reads what a host of the mesh uses of Corrosion's configuration", () => {
  const config = parseAgentConfig(text);
  expect(config).toEqual({
    dbPath: '/var/lib/corrosion/corrosion.db',
    schemaPaths: ['/etc/corrosion/schemas'],
    gossip: { host: '100.64.0.1', port: 8787 },
    bootstrap: [
      { host: '100.64.0.2', port: 8787 },
      { host: '100.64.0.3', port: 8787 },
    ],
    api: { host: '127.0.0.1', port: 8080 },
    bearerToken: undefined,
  });
  expect(parseAgentConfig(`${text}\n[api.authz]\nbearer-token = "secret"`).bearerToken).toBe('secret');
});

test('what is wrong is named', () => {
  expect(() => parseAgentConfig('[db]\npath = x')).toThrow('line 2: expected a string');
  expect(() => parseAgentConfig('[db]\npath')).toThrow('line 2: expected key = value');
  expect(() => parseAgentConfig('[db]\npath = 1')).toThrow('db.path: expected a string');
  expect(() => parseAgentConfig(text.replace('127.0.0.1:8080', '127.0.0.1'))).toThrow(
    'api.addr: expected ADDRESS:PORT',
  );
});
