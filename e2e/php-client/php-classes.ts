import { type DescField, type DescMessage, getOption } from '@bufbuild/protobuf';
import { reasons } from '@coold/errors';
import { jsonRules, type Verb } from '@coold/proto';
import { comments } from '@coold/proto/comments';
import { camel, commandClass, dataClass, docComment, inputClass, pascal, quoted } from './names.ts';
import {
  classOf,
  hasClass,
  mayBeAbsent,
  phpType,
  type Role,
  readExpression,
  writeExpression,
} from './php-types.ts';

const head = (namespace: string) => `<?php
// Made from proto/coolify/agent/v1 by \`npm run docs\`: changes here are lost.
declare(strict_types=1);

namespace Coolify\\Coold${namespace === '' ? '' : `\\${namespace}`};

`;

/** Sorts the parameters of a constructor or method: required ones come first. */
function ordered(fields: readonly DescField[], role: Role): DescField[] {
  const isOptional = (field: DescField) => mayBeAbsent(field, role);
  return [...fields.filter(field => !isOptional(field)), ...fields.filter(isOptional)];
}

const commentOf = (field: DescField) => comments[`${field.parent.typeName}.${field.name}`] ?? '';

/** Describes a parameter, with its values if they are a closed set. */
function paramLine(field: DescField, role: Role): string {
  const { oneOf } = getOption(field, jsonRules);
  const set = oneOf.filter(word => word !== '').map(quoted);
  const { documented } = phpType(field, role);
  const type =
    set.length > 0 && role === 'input' && field.fieldKind === 'scalar' ? `${set.join('|')}|null` : documented;
  return `@param ${type} $${camel(field.name)} ${commentOf(field)}`.trimEnd();
}

function parameters(fields: readonly DescField[], role: Role, indent: string, before = ''): string {
  return ordered(fields, role)
    .map(field => {
      const { declared } = phpType(field, role);
      const isOptional = role === 'input' && mayBeAbsent(field, role);
      return `${indent}${before}${declared} $${camel(field.name)}${isOptional ? ' = null' : ''},\n`;
    })
    .join('');
}

function construct(fields: readonly DescField[], role: Role): string {
  if (fields.length === 0) return '';
  const docs = docComment(
    ordered(fields, role).map(field => paramLine(field, role)),
    '    ',
  );
  return `${docs}    public function __construct(\n${parameters(fields, role, '        ', 'public ')}    ) {\n    }\n`;
}

function writeFields(fields: readonly DescField[]): string {
  if (fields.length === 0) return '        return [];\n';
  const lines = fields.map(field => {
    const write = writeExpression(field);
    const own = `$this->${camel(field.name)}`;
    const value = write === own || !mayBeAbsent(field, 'input') ? write : `${own} === null ? null : ${write}`;
    return `            '${field.name}' => ${value},\n`;
  });
  return `        return array_filter([\n${lines.join('')}        ], static fn (mixed $value): bool => $value !== null);\n`;
}

/** Returns the class of a request's message. */
export function inputFile(message: DescMessage): string {
  return `${head('Input')}${docComment([comments[message.typeName] ?? ''])}final readonly class ${inputClass(message)}
{
${construct(message.fields, 'input')}
    /** @return array<string, mixed> what is given, as JSON has it */
    public function fields(): array
    {
${writeFields(message.fields)}    }
}
`;
}

/** Returns the class of an answer's message. */
export function dataFile(message: DescMessage): string {
  const name = dataClass(message);
  const reads = ordered(message.fields, 'data').map(field => `            ${readExpression(field)},\n`);
  return `${head('Data')}${docComment([comments[message.typeName] ?? ''])}final readonly class ${name}
{
${construct(message.fields, 'data')}
    /** @param array<string, mixed> $data as JSON has it; what a newer host says beyond these fields is left out */
    public static function from(array $data): self
    {
        return new self(
${reads.join('')}        );
    }
}
`;
}

/** The return value of a verb's method. */
interface Returned {
  declared: string;
  documented: string;
  /** The expression that builds it from `$data`. */
  read: string;
}

function returned({ body, response }: Verb): Returned {
  const as = (name: string, read: string): Returned => ({ declared: name, documented: name, read });
  if (response.fields.length === 0) return as('null', 'null');
  const ofClass = (message: DescMessage) => `\\Coolify\\Coold\\${classOf(message, 'data')}`;
  if (body === undefined) return as(ofClass(response), `${ofClass(response)}::from($data)`);
  switch (body.fieldKind) {
    case 'message':
      return hasClass(body.message)
        ? as(ofClass(body.message), `${ofClass(body.message)}::from($data)`)
        : { declared: 'array', documented: 'array<string, mixed>', read: '$data' };
    case 'list':
      if (body.message !== undefined)
        return {
          declared: 'array',
          documented: `list<${ofClass(body.message)}>`,
          read: `array_map(${ofClass(body.message)}::from(...), $data)`,
        };
      break;
    default:
  }
  throw new Error(`${response.typeName}: the client has no answer of this form`);
}

/** Returns the class of a verb's command. */
export function commandFile(verb: Verb): string {
  const { request, deadline, name, summary } = verb;
  const answer = returned(verb);
  return `${head('Command')}${docComment([`${summary}.`, `@implements Command<${answer.documented}>`])}final readonly class ${commandClass(verb)} implements Command
{
${construct(request.fields, 'input')}
    public function type(): string
    {
        return ${quoted(name)};
    }

    public function fields(): array
    {
${writeFields(request.fields)}    }

    public function deadline(): ?float
    {
        return ${deadline === undefined ? 'null' : deadlineExpression(deadline.rule)};
    }

    public function worksAnew(): bool
    {
        return ${verb.worksAnew};
    }

    public function read(mixed $data): ${answer.declared === 'null' ? 'mixed' : answer.declared}
    {
        return ${answer.read};
    }
}
`;
}

function deadlineExpression({
  field,
  otherwise,
  margin,
  max,
  onlyIf,
}: NonNullable<Verb['deadline']>['rule']): string {
  const seconds = `(float) min(($this->${camel(field)} ?? ${otherwise}) + ${margin}, ${max})`;
  return onlyIf === undefined ? seconds : `$this->${camel(onlyIf)} === true ? ${seconds} : null`;
}

/** Returns the trait with a method for each verb. */
export function verbsFile(verbs: readonly Verb[]): string {
  return `${head('')}/** A method for each verb of a host; its parameters are those of the command. */
trait Verbs
{
    /**
     * @template T
     * @param Command\\Command<T> $command
     * @return T
     */
    abstract public function dispatch(Command\\Command $command): mixed;

    abstract public function stream(Command\\Command $command): OutputStream;

${verbs.flatMap(methodsOf).join('\n')}}
`;
}

function methodsOf(verb: Verb): string[] {
  const { request, streams, lines, takesInput, summary, name } = verb;
  const method = camel(name);
  const answer = returned(verb);
  const given = ordered(request.fields, 'input').map(({ name }) => `$${camel(name)}`);
  const command = `new Command\\${commandClass(verb)}(${given.join(', ')})`;
  const list = request.fields.length === 0 ? '' : `\n${parameters(request.fields, 'input', '        ')}    `;
  const params = ordered(request.fields, 'input').map(field => paramLine(field, 'input'));
  const isVoid = answer.declared === 'null';
  const plain = `${docComment([`${summary}.`, ...params, isVoid ? '' : `@return ${answer.documented}`, '@throws CooldException'], '    ')}    public function ${method}(${list}): ${isVoid ? 'void' : answer.declared}
    {
        ${isVoid ? '' : 'return '}$this->dispatch(${command});
    }
`;
  if (!streams || lines) return [plain];
  const streamed = `${docComment([`${summary}. Its output comes as it is written${takesInput ? ', and it takes input' : ''}.`, ...params, '@throws CooldException'], '    ')}    public function ${method}Stream(${list}): OutputStream
    {
        return $this->stream(${command});
    }
`;
  return [plain, streamed];
}

/** Returns the class of the exception of a reason. */
export function exceptionFile({ word, code, means, remedy }: (typeof reasons)[number]): string {
  return `${head('Exception')}/**
 * ${means}.
 *
 * ${remedy}. (${code})
 */
final class ${pascal(word)} extends CooldException
{
}
`;
}

/** Returns the map from a reason to its exception. */
export function reasonsFile(): string {
  return `${head('Exception')}/** The exception of each reason. */
final class Reasons
{
    /** @var array<string, class-string<CooldException>> */
    public const CLASSES = [
${reasons.map(({ word }) => `        ${quoted(word)} => ${pascal(word)}::class,\n`).join('')}    ];
}
`;
}
