import { sourceParts } from './source-parts.ts'
import type { SourceFile } from './source.ts'

const declared = /^export (?:declare )?(?:abstract )?(?:async )?(?:const|let|function\*?|class|interface|type|enum) (\w+)/gm
const listed = /^export (?:type )?\{([^}]*)\}/gm

/** What a file exports by name. */
export function exportsOf(text: string): string[] {
  const { code } = sourceParts(text)
  const lists = [...code.matchAll(listed)].flatMap(([, clause = '']) => clause.split(','))
  return [
    ...[...code.matchAll(declared)].map(([, name = '']) => name),
    ...lists.map((part) => /(\w+)\s*$/.exec(part)?.[1] ?? '').filter(Boolean),
  ]
}

/**
 * `path: name` for every export of `files` that no other file uses. A file uses an export where it imports the module, statically or not, and names it.
 * `entries` export for others.
 */
export function unusedExports(files: readonly SourceFile[], users: readonly SourceFile[], entries: readonly string[]): string[] {
  const words = new Map<string, Set<string>>()
  const importers = new Map<string, SourceFile[]>()
  for (const file of users) {
    words.set(file.path, new Set(sourceParts(file.text).code.match(/[\w$]+/g)))
    for (const target of new Set(file.imports.map((one) => one.target))) importers.set(target, [...(importers.get(target) ?? []), file])
  }
  return files
    .filter(({ path }) => !entries.includes(path))
    .flatMap(({ path, text }) =>
      exportsOf(text)
        .filter((name) => !importers.get(path)?.some((user) => user.path !== path && words.get(user.path)?.has(name)))
        .map((name) => `${path}: ${name}`),
    )
}
