import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

const root = resolve(import.meta.dir, '../..')

const importPattern = /\bfrom '(\.[^']+)'|\bimport\('(\.[^']+)'\)/g

/** The test files that import `module`, directly or through other modules. Paths are relative to the repository. */
export function testsThatImport(module: string): string[] {
  const files = ['test', 'src'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(folder, name)),
  )
  const importsOf = new Map(files.map((name) => [name, importedBy(name)]))
  const importing = new Set([join(module)])
  for (let before = 0; before < importing.size;) {
    before = importing.size
    for (const [name, imports] of importsOf) if (imports.some((one) => importing.has(one))) importing.add(name)
  }
  return [...importing].filter((name) => name.endsWith('.test.ts')).toSorted()
}

function importedBy(name: string): string[] {
  const text = readFileSync(join(root, name), 'utf8')
  return [...text.matchAll(importPattern)].map(([, from, loaded]) => join(dirname(name), from ?? loaded ?? ''))
}
