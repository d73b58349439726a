import { describe, expect, test } from 'bun:test'
import { importCycles } from './cycles.ts'
import { exportsOf, unusedExports } from './exports.ts'
import { partOf, shipped, sourceFile, sources } from './source.ts'

/** Each tier may import what stands in the tiers before it, and its own files. Parts that share a tier are separate unless listed below. */
const tiers = [
  ['timing', 'bounded-map'],
  ['runtime', 'errors', 'secret', 'schemas', 'call', 'wire', 'text'],
  ['operations'],
  ['telemetry', 'egress', 'dialects'],
  ['storage'],
  ['access', 'jobs'],
  ['auth', 'quota'],
  ['providers'],
  ['config'],
  ['registry'],
  ['http'],
  ['inference'],
  ['agents'],
  ['api'],
  ['services'],
  ['app'],
  ['server', 'workers', 'supervisor'],
  ['index'],
  ['cli'],
  ['main'],
]

/** Neighbours in one tier that may be imported all the same, by name and with their direction. */
const neighbours: Readonly<Record<string, readonly string[]>> = {
  call: ['secret', 'errors'],
  schemas: ['secret'],
  errors: ['secret'],
  auth: ['quota'],
  workers: ['server'],
  supervisor: ['server', 'workers'],
}

const tierOf = (part: string) => tiers.findIndex((tier) => tier.includes(part))

describe('imports point one way', () => {
  test('every part of src has its tier', () => {
    const unknown = new Set(
      sources('src')
        .map(({ path }) => partOf(path))
        .filter((part) => part !== 'testing' && tierOf(part) < 0),
    )
    expect([...unknown]).toEqual([])
  })

  test('no file imports what stands to its right', () => {
    const wrong = shipped().flatMap(({ path, imports }) =>
      imports
        .filter(({ own, target }) => own && target.startsWith('src/'))
        .filter(({ target }) => {
          const [from, to] = [partOf(path), partOf(target)]
          return from !== to && tierOf(to) >= tierOf(from) && !neighbours[from]?.includes(to)
        })
        .map(({ target }) => `${path} imports ${target}`),
    )
    expect(wrong).toEqual([])
  })

  test('nothing that is shipped imports the testing kit', () => {
    const wrong = shipped().filter(({ imports }) => imports.some(({ target }) => target.startsWith('src/testing/')))
    expect(wrong.map(({ path }) => path)).toEqual([])
  })

  test('one API folder imports another only for the type of its service', () => {
    const wrong = shipped().flatMap(({ path, imports }) => {
      const folder = /^src\/api\/([^/]+)\//.exec(path)?.[1]
      if (!folder) return []
      return imports
        .filter(({ target }) => {
          const other = /^src\/api\/([^/]+)\//.exec(target)?.[1]
          return other !== undefined && other !== folder
        })
        .filter(({ target, typeOnly }) => !(typeOnly && target.endsWith('/service.ts')))
        .map(({ target }) => `${path} imports ${target}`)
    })
    expect(wrong).toEqual([])
  })

  test('the schemas import zod and one another only', () => {
    const wrong = shipped()
      .filter(({ path }) => path.startsWith('src/schemas/'))
      .flatMap(({ path, imports }) =>
        imports
          .filter(({ own, target }) => (own ? !target.startsWith('src/schemas/') : target !== 'zod'))
          .map(({ target }) => `${path} imports ${target}`),
      )
    expect(wrong).toEqual([])
  })

  test('[ARC-4] no files import one another in a circle, not even types', () => {
    expect(importCycles([...sources('src'), ...sources('test'), ...sources('bench')])).toEqual([])
  })

  test('circles are found, imports of types and of oneself included', () => {
    const files = [
      sourceFile('src/a.ts', "import type { B } from './b.ts'"),
      sourceFile('src/b.ts', "import { c } from './c.ts'\nimport { d } from './d.ts'"),
      sourceFile('src/c.ts', "const { a } = await import('./a.ts')"),
      sourceFile('src/d.ts', "import { d } from './d.ts'"),
      sourceFile('src/e.ts', "import { a } from './a.ts'"),
    ]
    expect(importCycles(files)).toEqual([['src/d.ts'], ['src/a.ts', 'src/b.ts', 'src/c.ts']])
  })
})

describe('exports', () => {
  test('[ARC-5] every export is used by another file', () => {
    const all = [...sources('src'), ...sources('test'), ...sources('bench')]
    const declaring = all.filter(({ path }) => !path.endsWith('.test.ts'))
    const entries = ['src/index.ts', 'src/testing/index.ts', 'src/providers/inference/llama-cpp/index.ts']
    expect(unusedExports(declaring, all, entries)).toEqual([])
  })

  test('are found in every form', () => {
    const text =
      "export const a = 1\nexport async function b() {}\nexport type { C, D as E } from './c.ts'\nexport abstract class F {}\n// export const g = 1"
    expect(exportsOf(text)).toEqual(['a', 'b', 'F', 'C', 'E'])
  })

  test('are used by static and by dynamic imports, and by nothing else', () => {
    const declaring = sourceFile('src/a.ts', 'export const one = 1\nexport const two = 2\nexport const three = 3\nconst four = one')
    const users = [
      declaring,
      sourceFile('src/b.ts', "import { one } from './a.ts'\none()"),
      sourceFile('src/c.ts', "const { two } = await import('./a.ts')"),
      sourceFile('src/d.ts', "import { three } from './b.ts'"),
    ]
    expect(unusedExports([declaring], users, [])).toEqual(['src/a.ts: three'])
    expect(unusedExports([declaring], users, ['src/a.ts'])).toEqual([])
  })
})
