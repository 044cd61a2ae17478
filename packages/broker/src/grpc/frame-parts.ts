import type { DescField, DescMessage } from '@bufbuild/protobuf';

/**
 * The known fields of a message by number: `single` for one value, `listed` for a list of values, a shape for a
 * message.
 */
interface Shape extends Map<number, Field> {}
type Field = 'single' | 'listed' | Shape;

/** Counts the parts of a message without decoding it; stops beyond `max`. */
export type CountParts = (bytes: Uint8Array, max: number) => number;

/** Nesting of messages; a level of JSON takes four. Deeper messages count as having too many parts. */
const maxDepth = 400;

/**
 * Creates a counter for messages of one kind. A part becomes an object or element of its own when the message is
 * decoded: an element of a list or map, a message, and an unknown field, which is kept. A part can be two bytes on the
 * wire and a hundred in memory. Of invalid bytes, counts what can be read: the decoder reports the fault.
 */
export function createPartsCounter(message: DescMessage): CountParts {
  const root = shapeOf(message, new Map());
  return (bytes, max) => {
    let at = 0;
    let parts = 0;

    function varint(end: number): number {
      let value = 0;
      for (let shift = 0; at < end && shift < 70; shift += 7) {
        const byte = bytes[at] ?? 0;
        at += 1;
        // As the decoder does, which takes the low 32 bits of a longer number.
        if (shift < 32) value |= (byte & 0x7f) << shift;
        if (byte < 0x80) return value >>> 0;
      }
      at = bytes.length;
      return 0;
    }

    function walk(end: number, shape: Shape, depth: number): void {
      while (at < end && parts <= max) {
        const tag = varint(end);
        const field = shape.get(tag >>> 3);
        if (field !== 'single') parts += 1;
        switch (tag & 7) {
          case 0:
            varint(end);
            break;
          case 1:
            at += 8;
            break;
          case 2: {
            const length = varint(end);
            const innerEnd = Math.min(at + length, end);
            if (depth >= maxDepth) parts = max + 1;
            else if (typeof field === 'object') walk(innerEnd, field, depth + 1);
            if (parts <= max) at = innerEnd;
            break;
          }
          case 5:
            at += 4;
            break;
          // The content of a group is counted where it appears.
          case 3:
          case 4:
            break;
          default:
            at = bytes.length;
        }
      }
    }

    walk(bytes.length, root, 0);
    return parts;
  };
}

function shapeOf(message: DescMessage, known: Map<string, Shape>): Shape {
  const made = known.get(message.typeName);
  if (made !== undefined) return made;
  const shape: Shape = new Map<number, Field>();
  known.set(message.typeName, shape);
  for (const field of message.fields) shape.set(field.number, kindOf(field, known));
  return shape;
}

function kindOf(field: DescField, known: Map<string, Shape>): Field {
  switch (field.fieldKind) {
    case 'scalar':
    case 'enum':
      return 'single';
    case 'message':
      return shapeOf(field.message, known);
    case 'list':
      return field.listKind === 'message' ? shapeOf(field.message, known) : 'listed';
    case 'map': {
      const value = field.mapKind === 'message' ? shapeOf(field.message, known) : 'single';
      return new Map<number, Field>([
        [1, 'single'],
        [2, value],
      ]);
    }
  }
}
