import { type DescField, type DescMessage, getOption } from '@bufbuild/protobuf';
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt';
import { type JsonRules, jsonRules, takesScalars } from '@coold/proto';
import { comments } from '@coold/proto/comments';
import { orNull, type Schema, schemaRef } from './schema.ts';
import { answerValue, freeValue, requestValue, type ValueTypes } from './value-schema.ts';

/** Requests may leave fields out and may not have others; answers have all their fields (docs/contract.md §2). */
export type Side = 'request' | 'answer';

export interface ObjectSchema extends Schema {
  properties: Record<string, Schema>;
  required?: string[];
}

/** Returns whether a request without this field is refused. */
export function isRequired(field: DescField): boolean {
  return getOption(field, jsonRules).required && field.oneof === undefined;
}

/** The schemas of messages, each made when it is first referred to. */
export class MessageSchemas {
  readonly #named = new Map<string, { message: DescMessage; schema: Schema }>();

  /** Returns a reference to the schema of a message. @throws Error where two messages would have one name */
  ofMessage(message: DescMessage, side: Side): Schema {
    const base = wellKnown[message.typeName];
    if (base !== undefined) return base;
    const short = message.typeName.slice(message.file.proto.package.length).replace(/^\./, '');
    const name = side === 'request' ? `${short}Input` : short;
    const known = this.#named.get(name);
    if (known !== undefined && known.message !== message)
      throw new Error(`${message.typeName} and ${known.message.typeName} would both be ${name} in OpenAPI`);
    if (known === undefined) {
      const entry = { message, schema: {} as Schema };
      this.#named.set(name, entry); // before its fields: a message may contain itself
      entry.schema = { ...described(message.typeName), ...this.ofFields(message.fields, side) };
    }
    return schemaRef(name);
  }

  /** Returns an object of these fields, written out. */
  ofFields(fields: readonly DescField[], side: Side): ObjectSchema {
    const properties = Object.fromEntries(fields.map(field => [field.name, this.ofField(field, side)]));
    if (side === 'answer') {
      const required = fields.filter(hasNoPresence).map(({ name }) => name);
      return { type: 'object', properties, ...(required.length === 0 ? {} : { required }) };
    }
    const required = fields.filter(isRequired).map(({ name }) => name);
    const choices = choicesOf(fields);
    const isFree = required.length === 0 && choices.length === 0;
    return {
      // What PHP writes for an object without fields is an empty list.
      ...(isFree ? { type: ['object', 'array'], maxItems: 0 } : { type: 'object' }),
      properties,
      ...(required.length === 0 ? {} : { required }),
      ...(choices.length === 0 ? {} : { allOf: choices }),
      additionalProperties: false,
    };
  }

  #ofValue(value: ValueTypes, side: Side, rules: JsonRules, isEmptyAllowed: boolean): Schema {
    const { message } = value;
    if (message?.typeName === 'google.protobuf.Value') return side === 'request' ? freeValue(rules) : {};
    if (message !== undefined) return this.ofMessage(message, side);
    return side === 'request' ? requestValue(value, { rules, isEmptyAllowed }) : answerValue(value, rules);
  }

  #ofCollection(field: DescField, side: Side): Schema {
    const rules = getOption(field, jsonRules);
    switch (field.fieldKind) {
      case 'list':
        return {
          type: 'array',
          ...(side === 'request' && rules.minItems !== undefined ? { minItems: rules.minItems } : {}),
          ...(side === 'request' && rules.maxItems !== undefined ? { maxItems: rules.maxItems } : {}),
          items: this.#ofValue(field, side, rules, rules.pattern === '' && rules.format === ''),
        };
      case 'map': {
        if (side === 'answer')
          return { type: 'object', additionalProperties: this.#ofValue(field, side, rules, true) };
        const value = getOption(field, takesScalars)
          ? { type: ['string', 'number', 'boolean'] }
          : this.#ofValue(field, side, rules, true);
        return { type: ['object', 'array'], maxItems: 0, additionalProperties: orNull(value) };
      }
      default:
        return this.#ofValue(field, side, rules, !rules.required && hasNoPresence(field));
    }
  }

  ofField(field: DescField, side: Side): Schema {
    const schema = this.#ofCollection(field, side);
    const isOptional = side === 'request' && !getOption(field, jsonRules).required;
    return {
      ...(isOptional ? orNull(schema) : schema),
      ...described(`${field.parent.typeName}.${field.name}`),
    };
  }

  /** Returns the schema of a field of a request whose text stands in a path or a query, where nothing is null. */
  ofParameter(field: DescField): Schema {
    return this.#ofCollection(field, 'request');
  }

  /** Returns every message that was referred to, by its name in the document. */
  all(): Record<string, Schema> {
    const schemas = [...this.#named].map(([name, { schema }]): [string, Schema] => [name, schema]);
    return Object.fromEntries(schemas.sort(byName));
  }
}

/** For each oneof whose members say that one of them is needed: exactly one of them. */
function choicesOf(fields: readonly DescField[]): Schema[] {
  const oneofs = new Map<string, DescField[]>();
  for (const field of fields)
    if (field.oneof !== undefined && getOption(field, jsonRules).required)
      oneofs.set(field.oneof.name, [...(oneofs.get(field.oneof.name) ?? []), field]);
  return [...oneofs.values()].map(members => ({ oneOf: members.map(({ name }) => ({ required: [name] })) }));
}

/** Returns the comment of something of the .proto as a description. */
export function described(name: string): { description?: string } {
  const description = comments[name];
  return description === undefined ? {} : { description };
}

const byName = ([a]: [string, Schema], [b]: [string, Schema]) => (a < b ? -1 : 1);

/** Such a field is in every answer, with its default at least. */
const hasNoPresence = ({ presence }: DescField) => presence === FeatureSet_FieldPresence.IMPLICIT;

/** Messages that are JSON of any form. */
const wellKnown: Record<string, Schema> = {
  'google.protobuf.Struct': { type: 'object' },
  'google.protobuf.ListValue': { type: 'array', items: {} },
};
