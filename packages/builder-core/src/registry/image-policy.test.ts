import { expect, it } from 'vitest';
import { readImagePolicy, withoutLocalTransports } from './image-policy.ts';

it('keeps what the host says of registries, and refuses files of the host', () => {
  const docker = { 'registry.example': [{ type: 'signedBy', keyType: 'GPGKeys', keyPath: '/k' }] };
  const policy = {
    default: [{ type: 'reject' }],
    transports: { docker, dir: { '/srv': [{ type: 'insecureAcceptAnything' }] } },
  };
  const made = JSON.parse(withoutLocalTransports(JSON.stringify(policy), 'p'));
  expect(made).toMatchObject({ default: policy.default, transports: { docker } });
  for (const name of ['dir', 'tarball', 'oci-archive'])
    expect(made.transports[name]).toEqual({ '': [{ type: 'reject' }] });
});

it('is undefined where the host has no policy, and an error where the policy is malformed', async () => {
  expect(await readImagePolicy('/nowhere/policy.json')).toBeUndefined();
  expect(() => withoutLocalTransports('[]', 'p')).toThrow('p: expected an object');
  expect(() => withoutLocalTransports('{"transports":[]}', 'p')).toThrow('p: transports');
});
