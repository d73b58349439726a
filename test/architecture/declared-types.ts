import { sourceParts } from './source-parts.ts'
import { shipped } from './source.ts'

const declaration = /^(?:export )?(?:declare )?(?:abstract )?(?:interface|type|class) (\w+)/gm

/** Type name → the files of src/ that declare it, for every name that more than one declares. */
export function typesDeclaredTwice(files = shipped()): ReadonlyMap<string, readonly string[]> {
  const declared = new Map<string, Set<string>>()
  for (const { path, text } of files)
    for (const [, name = ''] of sourceParts(text).code.matchAll(declaration)) {
      const paths = declared.get(name) ?? new Set()
      declared.set(name, paths.add(path))
    }
  return new Map([...declared].filter(([, paths]) => paths.size > 1).map(([name, paths]) => [name, [...paths]]))
}
