import { type DescField, type DescMessage, getOption, ScalarType } from '@bufbuild/protobuf';
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt';
import { jsonRules, takesScalars } from '@coold/proto';
import { camel, dataClass, inputClass } from './names.ts';

/** The PHP type of a value. */
export interface PhpType {
  /** In a declaration: `?array`. */
  declared: string;
  /** In a doc comment: `list<string>|null`. */
  documented: string;
}

/** Whether a message is sent by a caller or returned to it. */
export type Role = 'input' | 'data';

/** Messages that are arbitrary JSON. */
const free = new Map([
  ['google.protobuf.Struct', { declared: 'array', documented: 'array<string, mixed>' }],
  ['google.protobuf.Value', { declared: 'int|float|string', documented: 'int|float|string' }],
]);

/** Returns whether a message has a class of its own. */
export function hasClass(message: DescMessage): boolean {
  return !free.has(message.typeName);
}

/** Returns the class of a message, relative to the client's namespace. */
export function classOf(message: DescMessage, role: Role): string {
  return role === 'data' ? `Data\\${dataClass(message)}` : `Input\\${inputClass(message)}`;
}

/** Returns whether a field may be missing from an answer or left out of a request. */
export function mayBeAbsent(field: DescField, role: Role): boolean {
  if (role === 'input') return !getOption(field, jsonRules).required || field.oneof !== undefined;
  return field.presence !== FeatureSet_FieldPresence.IMPLICIT;
}

/** Returns the type of a field, including null when the field may be missing. */
export function phpType(field: DescField, role: Role): PhpType {
  const type = bareType(field, role);
  if (!mayBeAbsent(field, role)) return type;
  const declared = type.declared.includes('|') ? `${type.declared}|null` : `?${type.declared}`;
  return { declared, documented: `${type.documented}|null` };
}

function bareType(field: DescField, role: Role): PhpType {
  switch (field.fieldKind) {
    case 'list':
      return { declared: 'array', documented: `list<${itemType(field, role)}>` };
    case 'map': {
      const value =
        role === 'input' && getOption(field, takesScalars) ? 'string|int|float|bool' : itemType(field, role);
      return { declared: 'array', documented: `array<string, ${value}>` };
    }
    case 'message': {
      const known = free.get(field.message.typeName);
      if (known !== undefined) return known;
      const name = `\\Coolify\\Coold\\${classOf(field.message, role)}`;
      return { declared: name, documented: name };
    }
    case 'enum':
      return same('string');
    case 'scalar':
      return same(scalarType(field.scalar, role));
  }
}

function itemType(field: DescField & { fieldKind: 'list' | 'map' }, role: Role): string {
  if (field.message !== undefined)
    return (
      free.get(field.message.typeName)?.documented ?? `\\Coolify\\Coold\\${classOf(field.message, role)}`
    );
  return field.scalar === undefined ? 'string' : scalarType(field.scalar, role);
}

const same = (name: string): PhpType => ({ declared: name, documented: name });

function scalarType(type: ScalarType, role: Role): string {
  switch (type) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return 'string';
    case ScalarType.BOOL:
      return 'bool';
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return role === 'input' ? 'int|float' : 'float';
    default:
      return 'int';
  }
}

/** Returns the expression that reads a field of an answer from `$data`. */
export function readExpression(field: DescField): string {
  const at = `$data['${field.name}']`;
  const isOptional = mayBeAbsent(field, 'data');
  switch (field.fieldKind) {
    case 'list':
    case 'map': {
      const { message, scalar } = field;
      if (message !== undefined && hasClass(message))
        return `array_map(\\Coolify\\Coold\\${classOf(message, 'data')}::from(...), ${at} ?? [])`;
      return scalar === ScalarType.DOUBLE ? `array_map(floatval(...), ${at} ?? [])` : `${at} ?? []`;
    }
    case 'message': {
      if (!hasClass(field.message)) return `${at} ?? []`;
      const name = `\\Coolify\\Coold\\${classOf(field.message, 'data')}`;
      return `isset(${at}) ? ${name}::from(${at}) : null`;
    }
    case 'enum':
      return `${at} ?? ${isOptional ? 'null' : "''"}`;
    case 'scalar': {
      if (field.scalar === ScalarType.DOUBLE || field.scalar === ScalarType.FLOAT)
        return isOptional ? `isset(${at}) ? (float) ${at} : null` : `(float) (${at} ?? 0)`;
      return `${at} ?? ${isOptional ? 'null' : zeroOf(field.scalar)}`;
    }
  }
}

function zeroOf(type: ScalarType): string {
  switch (type) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return "''";
    case ScalarType.BOOL:
      return 'false';
    default:
      return '0';
  }
}

/** Returns the expression that writes a field of a request; it runs only when the field is not null. */
export function writeExpression(field: DescField): string {
  const value = `$this->${camel(field.name)}`;
  switch (field.fieldKind) {
    case 'list':
      return field.message !== undefined && hasClass(field.message)
        ? `array_map(static fn ($item): object => (object) $item->fields(), array_values(${value}))`
        : `array_values(${value})`;
    case 'map':
      return `(object) ${value}`;
    case 'message':
      return hasClass(field.message) ? `(object) ${value}->fields()` : value;
    case 'enum':
    case 'scalar':
      return value;
  }
}
