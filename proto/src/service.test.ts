import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { BuildStack, ClientMsgSchema, ServerMsgSchema } from '../gen/coolify/agent/v1/agent_pb.js';
import { agentStream, maxResponseBytes } from './service.ts';

/** Bytes written by hand from the numbers of docs/contract.md §1: a line a field, its tag, length and content. */
function bytes(...hex: string[]): Buffer {
  return Buffer.from(hex.join('').replaceAll(' ', ''), 'hex');
}

const fromHost: Record<string, [MessageInitShape<typeof ClientMsgSchema>, Buffer]> = {
  Hello: [
    {
      payload: {
        case: 'hello',
        value: {
          hostMgmtIp: '100.64.0.5',
          cooldVersion: '1.0.0',
          schemaMin: 1,
          schemaMax: 2,
          capabilities: ['coold', 'builder'],
          builderCapacity: 2,
        },
      },
    },
    bytes(
      '0a 29', // hello = 1
      '0a 0a 3130302e36342e302e35', // host_mgmt_ip = 1
      '12 05 312e302e30', // coold_version = 2
      '18 01', // schema_min = 3
      '20 02', // schema_max = 4
      '2a 05 636f6f6c64', // capabilities = 5
      '2a 07 6275696c646572',
      '30 02', // builder_capacity = 6
    ),
  ],
  'Response to list_containers': [
    {
      payload: {
        case: 'response',
        value: {
          requestId: 'r1',
          body: {
            case: 'listContainers',
            value: {
              containers: [{ id: 'c', name: 'web', image: 'i', state: 'running', networks: ['n1', 'n2'] }],
            },
          },
        },
      },
    },
    bytes(
      '12 24', // response = 2
      '0a 02 7231', // request_id = 1
      '52 1e', // list_containers = 10
      '0a 1c', // containers = 1
      '0a 01 63', // id = 1
      '12 03 776562', // name = 2
      '1a 01 69', // image = 3
      '22 07 72756e6e696e67', // state = 4
      '2a 02 6e31', // networks = 5
      '2a 02 6e32',
    ),
  ],
  'Response to build, ok': [
    {
      payload: {
        case: 'response',
        value: {
          requestId: 'r1',
          body: {
            case: 'build',
            value: {
              body: {
                case: 'ok',
                value: { digest: 'd', registryRef: 'r', durationMs: 300n, stackUsed: BuildStack.STATIC },
              },
            },
          },
        },
      },
    },
    bytes(
      '12 14', // response = 2
      '0a 02 7231', // request_id = 1
      'a201 0d', // build = 20
      '52 0b', // ok = 10
      '0a 01 64', // digest = 1
      '12 01 72', // registry_ref = 2
      '18 ac02', // duration_ms = 3
      '20 04', // stack_used = 4
    ),
  ],
  'Response to build, err': [
    {
      payload: {
        case: 'response',
        value: {
          requestId: 'r1',
          body: {
            case: 'build',
            value: { body: { case: 'err', value: { code: 499, message: 'm', stage: 's' } } },
          },
        },
      },
    },
    bytes(
      '12 12', // response = 2
      '0a 02 7231', // request_id = 1
      'a201 0b', // build = 20
      '5a 09', // err = 11
      '08 f303', // code = 1
      '12 01 6d', // message = 2
      '1a 01 73', // stage = 3
    ),
  ],
  'Response with an Error': [
    {
      payload: {
        case: 'response',
        value: { requestId: 'r1', body: { case: 'error', value: { code: 500, message: 'm', field: 'f' } } },
      },
    },
    bytes(
      '12 11', // response = 2
      '0a 02 7231', // request_id = 1
      'a206 0a', // error = 100
      '08 f403', // code = 1
      '12 01 6d', // message = 2
      'c20c 01 66', // field = 200
    ),
  ],
};

const toHost: Record<string, [MessageInitShape<typeof ServerMsgSchema>, Buffer]> = {
  list_containers: [
    { requestId: 'r1', command: { case: 'listContainers', value: {} } },
    bytes(
      '0a 02 7231', // request_id = 1
      '52 00', // list_containers = 10
    ),
  ],
  build: [
    {
      requestId: 'r1',
      command: {
        case: 'build',
        value: {
          repoUrl: 'u',
          gitRef: 'g',
          stack: BuildStack.STATIC,
          targetImage: 't',
          cacheKey: 'k',
          staticCfg: { outputDir: 'dist', baseImage: 'b' },
        },
      },
    },
    bytes(
      '0a 02 7231', // request_id = 1
      'a201 1a', // build = 20
      '0a 01 75', // repo_url = 1
      '12 01 67', // git_ref = 2
      '18 04', // stack = 3
      '22 01 74', // target_image = 4
      '2a 01 6b', // cache_key = 5
      'a201 09', // static_cfg = 20
      '0a 04 64697374', // output_dir = 1
      '12 01 62', // base_image = 2
    ),
  ],
  cancel_build: [
    { requestId: 'r1', command: { case: 'cancelBuild', value: {} } },
    bytes(
      '0a 02 7231', // request_id = 1
      'aa01 00', // cancel_build = 21
    ),
  ],
};

describe('the bytes that other coolds and brokers speak', () => {
  it.each(Object.entries(fromHost))('from a host: %s', (_name, [init, wire]) => {
    const message = create(ClientMsgSchema, init);
    expect(agentStream.requestSerialize(message).toString('hex')).toBe(wire.toString('hex'));
    expect(agentStream.requestDeserialize(wire)).toEqual(message);
  });

  it.each(Object.entries(toHost))('to a host: %s', (_name, [init, wire]) => {
    const message = create(ServerMsgSchema, init);
    expect(agentStream.responseSerialize(message).toString('hex')).toBe(wire.toString('hex'));
    expect(agentStream.responseDeserialize(wire)).toEqual(message);
  });

  it('have the stacks of a build by their numbers', () => {
    expect(BuildStack).toMatchObject({
      UNSPECIFIED: 0,
      DOCKERFILE: 1,
      BUILDPACKS: 2,
      RAILPACK: 3,
      STATIC: 4,
    });
  });
});

describe('what is unknown', () => {
  it('in a message is passed over', () => {
    const wire = bytes(
      '0a 06', // hello = 1
      '18 01', // schema_min = 3
      'c2b702 00', // 4984
    );
    expect(agentStream.requestDeserialize(wire).payload).toMatchObject({
      case: 'hello',
      value: { schemaMin: 1 },
    });
  });

  it('as a command leaves the request id and no command', () => {
    const wire = bytes(
      '0a 02 7231', // request_id = 1
      'a238 02 0801', // 900
    );
    expect(agentStream.responseDeserialize(wire)).toMatchObject({
      requestId: 'r1',
      command: { case: undefined },
    });
  });

  it('as a payload leaves none', () => {
    const wire = bytes('a238 02 0801'); // 900
    expect(agentStream.requestDeserialize(wire).payload.case).toBeUndefined();
  });
});

it('cannot be read from bytes that are cut off', () => {
  const [, wire] = toHost['build'] ?? [];
  expect(() => agentStream.responseDeserialize(wire?.subarray(0, -1) ?? bytes())).toThrow();
});

it('is one method that streams both ways', () => {
  expect(agentStream).toMatchObject({
    path: '/coolify.agent.v1.Agent/Stream',
    requestStream: true,
    responseStream: true,
  });
});

it('allows a response of 4 MiB', () => {
  expect(maxResponseBytes).toBe(4_194_304);
});
