import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

const root = resolve(import.meta.dir, '../..')

const importPattern = /\bfrom '(\.[^']+)'|\bimport\('(\.[^']+)'\)/g

/** The test files that ask `src/testing/engines.ts` which engines there are, by themselves or through what they import. Relative to the repository. */
export function testsWithEngines(): string[] {
  const files = ['test', 'src'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(folder, name)),
  )
  const importsOf = new Map(files.map((name) => [name, importedBy(name)]))
  const asking = new Set([join('src', 'testing', 'engines.ts')])
  for (let before = 0; before < asking.size;) {
    before = asking.size
    for (const [name, imports] of importsOf) if (imports.some((one) => asking.has(one))) asking.add(name)
  }
  return [...asking].filter((name) => name.endsWith('.test.ts')).toSorted()
}

function importedBy(name: string): string[] {
  const text = readFileSync(join(root, name), 'utf8')
  return [...text.matchAll(importPattern)].map(([, from, loaded]) => join(dirname(name), from ?? loaded ?? ''))
}
