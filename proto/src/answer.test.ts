import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { answerEncoder } from './answer.ts';
import { ListContainersReqSchema, ListContainersRespSchema } from './index.ts';
import { readVerbs } from './verbs.ts';

const verb = readVerbs().get('list_containers') ?? expect.fail();
const answer = create(ListContainersRespSchema, { containers: [{ id: 'c' }] });
const container = { id: 'c', name: '', image: '', state: '', networks: [] };

describe('an answer’s JSON', () => {
  it('is the body field', () => {
    expect(answerEncoder(verb)(answer)).toEqual([container]);
  });

  it('is the whole message where no field is the body', () => {
    expect(answerEncoder({ ...verb, body: undefined })(answer)).toEqual({ containers: [container] });
  });

  it('is null where the message has no fields, or there is none', () => {
    expect(answerEncoder({ ...verb, body: undefined, response: ListContainersReqSchema })(answer)).toBeNull();
    expect(answerEncoder(verb)(undefined)).toBeNull();
    expect(answerEncoder({ ...verb, body: undefined })(undefined)).toBeNull();
  });
});
