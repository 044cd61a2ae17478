// A class method that is passed on without its object (`{ close: poll.close }`) fails when it is called, and the
// compiler does not report it. The rule that linters have cannot tell a class method from a function of an object
// literal that does not use `this`, so it reports hundreds of correct places. This search asks the compiler which of
// the two it is.
import { dirname, relative } from 'node:path';
import { type Node, type SourceFile, SyntaxKind } from 'typescript/unstable/ast';
import {
  isBinaryExpression,
  isBindingElement,
  isCallExpression,
  isClassLikeDeclaration,
  isIdentifier,
  isMethodDeclaration,
  isObjectBindingPattern,
  isPropertyAccessExpression,
  isSpreadAssignment,
} from 'typescript/unstable/ast/is';
import {
  API,
  type Checker,
  type NodeHandle,
  type Project,
  type Symbol as TypeSymbol,
} from 'typescript/unstable/sync';

/**
 * Finds class methods that are used without their object: as a value, destructured, or lost in a spread. An interface
 * method counts when a class declares that it implements the interface.
 *
 * @param config the path of a tsconfig.json; only files below its folder are searched
 * @returns one line per place, with the path from that folder: `packages/a/src/b.ts:12: poll.close`
 */
export function findUnboundMethods(config: string): string[] {
  const root = dirname(config);
  const api = new API({ cwd: root });
  try {
    using snapshot = api.updateSnapshot({ openProjects: [config] });
    const project = snapshot.getProject(config);
    if (project === undefined) throw new Error(`the compiler does not know the project ${config}`);
    const sources = sourcesOf(project, root);
    return misuses(project.checker, sources).map(node => {
      const source = node.getSourceFile();
      const { line } = source.getLineAndCharacterOfPosition(node.getStart(source));
      return `${relative(root, source.fileName)}:${line + 1}: ${node.getText(source)}`;
    });
  } finally {
    api.close();
  }
}

function sourcesOf({ program }: Project, root: string): SourceFile[] {
  return program
    .getSourceFileNames()
    .filter(name => name.startsWith(`${root}/`) && !/\/(node_modules|gen)\//.test(name))
    .map(name => program.getSourceFile(name))
    .filter(source => source !== undefined);
}

/**
 * The candidates found by one walk over the sources. The compiler is asked later about all of them at once, which is
 * much faster.
 */
class Places {
  /** the interfaces that classes implement */
  readonly implemented: Node[] = [];
  /** each `object.name` that is neither called nor bound there */
  readonly accesses: Node[] = [];
  /** each `name` that a pattern destructures from an object */
  readonly taken: { name: string; node: Node; pattern: Node }[] = [];
  /** the object in each `{ ...object }` */
  readonly spreads: Node[] = [];

  constructor(sources: readonly SourceFile[]) {
    const visit = (node: Node): void => {
      this.#note(node);
      node.forEachChild(visit);
    };
    for (const source of sources) visit(source);
  }

  #note(node: Node): void {
    if (isClassLikeDeclaration(node)) {
      for (const { token, types } of node.heritageClauses ?? [])
        if (token === SyntaxKind.ImplementsKeyword) this.implemented.push(...types);
    } else if (isPropertyAccessExpression(node)) {
      if (!keepsObject(node)) this.accesses.push(node);
    } else if (isBindingElement(node) && isObjectBindingPattern(node.parent)) {
      const name = node.propertyName ?? node.name;
      if (name !== undefined && isIdentifier(name))
        this.taken.push({ name: name.text, node, pattern: node.parent });
    } else if (isSpreadAssignment(node)) this.spreads.push(node.expression);
  }
}

/** Whether a node declares a method of the objects of a class. */
function needsObject(node: Node): boolean {
  return (
    isMethodDeclaration(node) &&
    isClassLikeDeclaration(node.parent) &&
    !node.modifiers?.some(({ kind }) => kind === SyntaxKind.StaticKeyword)
  );
}

/** Whether `object.name` is called, bound to its object, or given another value. */
function keepsObject(node: Node): boolean {
  const { parent } = node;
  if (isCallExpression(parent)) return parent.expression === node;
  if (isPropertyAccessExpression(parent)) return parent.name.text === 'bind';
  return (
    isBinaryExpression(parent) && parent.left === node && parent.operatorToken.kind === SyntaxKind.EqualsToken
  );
}

function misuses(checker: Checker, sources: readonly SourceFile[]): Node[] {
  const places = new Places(sources);
  const keyOf = ({ path, index }: NodeHandle) => `${path}:${index}`;
  const implemented = new Set(
    checker
      .getTypeAtLocation(places.implemented)
      .flatMap(type => (type === undefined ? [] : checker.getPropertiesOfType(type)))
      .flatMap(({ declarations }) => declarations.map(keyOf)),
  );
  const isMethod = (symbol: TypeSymbol | undefined) =>
    symbol?.declarations.some(declaration => {
      if (declaration.kind === SyntaxKind.MethodSignature) return implemented.has(keyOf(declaration));
      if (declaration.kind !== SyntaxKind.MethodDeclaration) return false;
      const node = declaration.resolve();
      return node !== undefined && needsObject(node);
    }) ?? false;
  const symbols = checker.getSymbolAtLocation(places.accesses);
  const patterns = checker.getTypeAtLocation(places.taken.map(({ pattern }) => pattern));
  const spread = checker.getTypeAtLocation(places.spreads);
  return [
    ...places.accesses.filter((_, i) => isMethod(symbols[i])),
    ...places.taken
      .filter(({ name }, i) => {
        const type = patterns[i];
        return type !== undefined && isMethod(checker.getPropertyOfType(type, name));
      })
      .map(({ node }) => node),
    ...places.spreads.filter((_, i) => {
      const type = spread[i];
      return type !== undefined && checker.getPropertiesOfType(type).some(isMethod);
    }),
  ];
}
