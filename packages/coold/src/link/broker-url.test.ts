import { describe, expect, it } from 'vitest';
import { brokerUrl } from './broker-url.ts';

describe('a broker URL', () => {
  it.each([
    ['grpcs://broker:6443/v1/agent', 'broker:6443', true],
    ['https://broker.example.com/v1/agent', 'broker.example.com:443', true],
    ['grpc://10.0.0.1:7000', '10.0.0.1:7000', false],
    ['http://broker', 'broker:80', false],
    ['grpcs://broker', 'broker:6443', true],
    ['grpc://[fd00::1]:6443/', '[fd00::1]:6443', false],
  ])('%s names %s', (text, authority, tls) => {
    expect(brokerUrl.parse(text)).toMatchObject({ authority, tls });
  });

  it('names the host that a certificate must be for, without brackets', () => {
    expect(brokerUrl.parse('grpcs://[fd00::1]:6443')?.host).toBe('fd00::1');
    expect(brokerUrl.parse('grpcs://broker.example.com')?.host).toBe('broker.example.com');
  });

  it.each([
    'broker:6443',
    'ftp://broker/',
    'grpcs://',
    'grpcs:///v1/agent',
    'grpcs://user:secret@broker/',
    'grpcs://broker/?x=1',
    'grpcs://broker/#x',
    'grpcs://broker:99999/',
    '',
    'constructor://x',
  ])('%s is none', text => {
    expect(brokerUrl.parse(text)).toBeUndefined();
  });
});
