import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { testApp, testConfig } from '../../src/testing/index.ts'
import { openaiSpec, sharedFolder, type OpenApiDocument } from './published.ts'

/**
 * Per cent of what OpenAI publishes that our document has. These numbers only rise. Embeddings miss one of 14 fields: a vector is a string where
 * `encoding_format` is `base64`, and OpenAI's document lists the array alone.
 */
const floors = { Chat: 100, Completions: 100, Embeddings: 92.9, Models: 100 } as const

/** What OpenAI serves in these categories and we do not yet: reading and editing stored chat completions. */
const notServedYet = [
  'DELETE /chat/completions/{completion_id}',
  'GET /chat/completions',
  'GET /chat/completions/{completion_id}',
  'GET /chat/completions/{completion_id}/messages',
  'POST /chat/completions/{completion_id}',
]

interface Category {
  score: number
  issues: number
  missing: number
  endpoints: { path: string; operations: { method: string; issues: unknown[]; missing: unknown[] }[] }[]
}
interface Scorer {
  coverage(options: { base: OpenApiDocument; ours: OpenApiDocument }): { categories: Record<string, Category> }
}

let ours: OpenApiDocument

beforeAll(async () => {
  await using server = await testApp(testConfig({}))
  ours = (await (await server.fetch('/openapi.json')).json()) as OpenApiDocument
})

describe('our OpenAPI document against OpenAI’s', () => {
  // The scorer finds its YAML parser in the node_modules above it.
  const scratch = mkdtempSync(join(import.meta.dir, '../../node_modules/.coverage-'))
  afterAll(() => rmSync(scratch, { recursive: true }))

  test('no category falls below its floor', async () => {
    const [base, folder] = [openaiSpec(), sharedFolder()]
    if (!base || !folder) return
    const copy = join(scratch, 'openapi-coverage.mjs')
    copyFileSync(join(folder, 'tools/openapi-coverage.mjs'), copy)
    const scorer = (await import(copy)) as Scorer
    const { categories } = scorer.coverage({ base, ours })
    for (const [name, floor] of Object.entries(floors)) {
      const category = categories[name]
      const findings = category?.endpoints.flatMap(({ operations }) => operations.filter((o) => o.issues.length + o.missing.length > 0))
      if (!category || category.score < floor)
        throw new Error(`${name}: ${category?.score} < ${floor}\n${JSON.stringify(findings, null, 1)}`)
      expect(category.missing).toBe(0)
    }
  })

  test('what we do not serve of these categories is what we say', () => {
    const base = openaiSpec()
    if (!base) return
    const tags: readonly unknown[] = Object.keys(floors)
    const missing = Object.entries(base.paths).flatMap(([path, item]) =>
      Object.entries(item)
        .filter(([, operation]) => tags.includes((operation['tags'] as string[] | undefined)?.[0]))
        .filter(([method]) => !findOperation(ours, `/v1${path}`, method))
        .map(([method]) => `${method.toUpperCase()} ${path}`),
    )
    expect(missing.toSorted()).toEqual(notServedYet)
  })

  // The scorer does not look into `allOf` and unions, which make up most of a chat request.
  for (const [path, property] of [
    ['/chat/completions', 'requestBody'],
    ['/chat/completions', 'responses'],
    ['/completions', 'requestBody'],
    ['/completions', 'responses'],
    ['/embeddings', 'requestBody'],
    ['/embeddings', 'responses'],
  ] as const) {
    test(`every field and listed value of the ${property} of ${path} is in ours`, () => {
      const base = openaiSpec()
      if (!base) return
      const published = fieldsOf(base, base.paths[path]?.['post']?.[property])
      const documented = fieldsOf(ours, ours.paths[`/v1${path}`]?.['post']?.[property])
      expect(published.size).toBeGreaterThan(5)
      expect([...published].filter((field) => !documented.has(field))).toEqual([])
    })
  }
})

const nameless = (path: string) => path.replaceAll(/\{[^}]+\}/g, '{}')

function findOperation(document: OpenApiDocument, path: string, method: string): unknown {
  const found = Object.keys(document.paths).find((candidate) => nameless(candidate) === nameless(path))
  return found && document.paths[found]?.[method]
}

/** Every path to a field, and every listed value with the path where it may stand, through references, unions and `allOf`. */
function fieldsOf(document: OpenApiDocument, root: unknown): Set<string> {
  const found = new Set<string>()
  const visit = (node: unknown, path: string, above: readonly string[]): void => {
    if (typeof node !== 'object' || node === null) return
    const { $ref, properties, enum: listed, ...rest } = node as { $ref?: string; properties?: object; enum?: unknown[] }
    if ($ref) {
      if (above.includes($ref)) return
      const target = $ref
        .slice(2)
        .split('/')
        .reduce((at: unknown, key) => (at as Record<string, unknown>)[key], document)
      visit(target, path, [...above, $ref])
    }
    // The names of OpenAI's own models are not ours to list.
    if (listed && !path.endsWith('.model')) for (const value of listed) found.add(`${path} = ${String(value)}`)
    for (const [name, field] of Object.entries(properties ?? {})) {
      found.add(`${path}.${name}`)
      visit(field, `${path}.${name}`, above)
    }
    for (const [key, value] of Object.entries(rest)) {
      if (['anyOf', 'oneOf', 'allOf'].includes(key)) for (const option of value as unknown[]) visit(option, path, above)
      else if (key === 'items') visit(value, `${path}[]`, above)
      else if (['200', 'content', 'schema', 'application/json', 'text/event-stream'].includes(key)) visit(value, `${path}/${key}`, above)
    }
  }
  visit(root, '', [])
  return found
}
