import { type DescField, type DescMessage, type Message, ScalarType } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import type { Deadline as DeadlineOption } from '../gen/coolify/agent/v1/verb_pb.js';

/** How long a verb may take, where its request has a say in that (docs/contract.md §2). */
export interface Deadline {
  /** Of one request, in ms; undefined: that of every other verb. */
  ofRequest(request: Message): number | undefined;
  /** What it follows from: names of fields, and seconds. */
  rule: { field: string; otherwise: number; margin: number; max: number; onlyIf: string | undefined };
  /** The same in words, for documents. */
  words: string;
}

/** @throws Error when the option contradicts the message; its text goes behind the field's name */
export function readDeadline(
  option: Pick<DeadlineOption, 'field' | 'otherwise' | 'margin' | 'max' | 'onlyIf'>,
  request: DescMessage,
): Deadline {
  const { otherwise, margin, max } = option;
  const seconds = scalarField(request, option.field, ScalarType.UINT32);
  const condition = option.onlyIf === '' ? undefined : scalarField(request, option.onlyIf, ScalarType.BOOL);
  if (max < otherwise + margin)
    throw new Error(`deadline: max ${max} is below otherwise ${otherwise} and margin ${margin} together`);
  const when = condition === undefined ? '' : `with \`${condition.name}\` `;
  return {
    ofRequest(message) {
      const fields = reflect(request, message);
      if (condition !== undefined && fields.get(condition) !== true) return undefined;
      const asked = fields.isSet(seconds) ? Number(fields.get(seconds)) : otherwise;
      return Math.min(asked + margin, max) * 1000;
    },
    rule: { field: seconds.name, otherwise, margin, max, onlyIf: condition?.name },
    words: `${when}\`${seconds.name}\` (${otherwise} s when absent) and ${margin} s, at most ${max} s`,
  };
}

function scalarField(
  message: DescMessage,
  name: string,
  scalar: ScalarType,
): DescField & { fieldKind: 'scalar' } {
  const field = message.fields.find(candidate => candidate.name === name);
  if (field?.fieldKind !== 'scalar' || field.scalar !== scalar)
    throw new Error(`deadline: ${message.typeName} has no field ${name} of type ${ScalarType[scalar]}`);
  return field;
}
