import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import Ajv2020 from 'ajv/dist/2020.js'
import { array, assert, constantFrom, property } from 'fast-check'
import { registerModelRequest } from '../../src/schemas/models.ts'
import { testApp, testConfig, type TestApp } from '../../src/testing/index.ts'
import { unportableSyntax } from './portable-pattern.ts'

interface Operation {
  operationId: string
  tags: string[]
  deprecated?: boolean
  security?: unknown[]
  parameters?: { name: string; in: string; required: boolean; schema: object }[]
  responses: Record<string, { $ref?: string; content?: Record<string, { schema: { $ref?: string } }> }>
}
interface Document {
  openapi: string
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, object>; responses: Record<string, object>; securitySchemes: Record<string, object> }
}

let server: TestApp
let text: string
let document: Document

beforeAll(async () => {
  server = await testApp(testConfig({}))
  text = await (await server.fetch('/openapi.json')).text()
  document = JSON.parse(text) as Document
})
afterAll(() => server[Symbol.asyncDispose]())

const operations = () =>
  Object.entries(document.paths).flatMap(([path, item]) => Object.entries(item).map(([method, operation]) => ({ path, method, operation })))

describe('/openapi.json', () => {
  test('is OpenAPI 3.1, and every reference in it leads somewhere', () => {
    expect(document.openapi).toStartWith('3.1')
    for (const [, pointer = ''] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const target = pointer.split('/').reduce((at: unknown, key) => (at as Record<string, unknown> | undefined)?.[key], document)
      if (target === undefined) throw new Error(`#/${pointer} leads nowhere.`)
    }
  })

  test('shows nothing of how it is made', () => {
    expect(text).not.toContain('x-corral')
    expect(text).not.toContain('$defs')
  })

  test('its schemas compile, and take what they describe', () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false })
    ajv.addSchema({ $id: 'ours', components: document.components })
    for (const name of Object.keys(document.components.schemas)) ajv.compile({ $ref: `ours#/components/schemas/${name}` })
    const chat = ajv.compile({ $ref: 'ours#/components/schemas/CreateChatCompletionRequest' })
    expect(chat({ model: 'm', messages: [{ role: 'user', content: [{ type: 'text', text: 'hi' }] }], tool_choice: 'auto', x: 1 })).toBe(
      true,
    )
    expect(chat({ model: 'm', messages: [{ role: 'wizard', content: 'hi' }] })).toBe(false)
  })

  test('operations have names of their own, parameters for their paths, and errors', () => {
    const names = operations().map(({ operation }) => operation.operationId)
    expect(new Set(names).size).toBe(names.length)
    for (const { path, operation } of operations()) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      expect((operation.parameters ?? []).filter((p) => p.in === 'path').map((p) => p.name)).toEqual(inPath as string[])
      expect(operation.responses['500']?.$ref).toBe('#/components/responses/ServerError')
    }
    expect(document.paths['/v1/chat/completions']?.['post']?.responses['429']?.$ref).toBe('#/components/responses/RateLimited')
  })

  test('older paths are there, deprecated', () => {
    const older = operations().filter(({ path }) => path.startsWith('/v1/openai/v1/'))
    expect(older.map(({ path }) => path)).toContain('/v1/openai/v1/chat/completions')
    for (const { operation } of older) expect(operation.deprecated).toBe(true)
  })

  test('says how to authenticate, and what needs it not', () => {
    expect(Object.keys(document.components.securitySchemes)).toEqual(['bearer', 'apiKey', 'googleApiKey', 'providerData'])
    expect(document.paths['/v1/health']?.['get']?.security).toEqual([])
    expect(document.paths['/v1/models']?.['get']?.security).toBeUndefined()
  })
})

/** Every `pattern` in a document, and every name of `patternProperties`. */
function patternsIn(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return []
  return Object.entries(node).flatMap(([key, value]) => {
    const own = key === 'pattern' && typeof value === 'string' ? [value] : key === 'patternProperties' ? Object.keys(value as object) : []
    return [...own, ...patternsIn(value)]
  })
}

describe('what other programs read from the document', () => {
  test('[PRO-7] every pattern compiles in ECMAScript, Python and Go', () => {
    const patterns = patternsIn(document)
    expect(patterns.length).toBeGreaterThan(2)
    expect(patterns.flatMap((pattern) => unportableSyntax(pattern) ?? [])).toEqual([])
  })

  test.each([
    '(?<!a)b',
    '(?<=a)b',
    'a(?=b)',
    'a(?!b)',
    '(?<name>a)',
    '\\p{Cc}',
    '\\P{L}',
    '\\u0041',
    '\\u{1F600}',
    '(a)\\1',
    '\\k<a>',
    '\\cA',
    '[]',
    '[^]',
    'a{2000}',
    '[a',
    '(?i)a',
  ])('the check finds %s', (pattern) => expect(unportableSyntax(pattern)).toBeDefined())

  test.each(['^[\\w-]{1,64}$', '^\\d{4}-(?:0[1-9]|1[0-2])$', '[^\\x00-\\x1f]+', 'a\\.b\\/c[a\\-d]', '[(?=]', '[{]', ''])(
    'the check passes %s',
    (pattern) => {
      expect(unportableSyntax(pattern)).toBeUndefined()
    },
  )

  test('[PRO-7] the pattern of a registered id says what is checked', () => {
    const { properties } = document.components.schemas['RegisterModelRequest'] as { properties: { model_id: { pattern: string } } }
    const published = new RegExp(properties.model_id.pattern)
    const characters = constantFrom('a', 'é', ' ', '\t', '\n', '\u0000', '\u0085', '\u00a0', '/', ':', '😀')
    assert(
      property(array(characters, { minLength: 1, maxLength: 5 }), (parts) => {
        const id = parts.join('')
        expect([id, published.test(id)]).toEqual([id, registerModelRequest.safeParse({ model_id: id }).success])
      }),
      { numRuns: 200 },
    )
  })

  test('[PRO-7] a conflict and base64 vectors are documented', () => {
    expect(document.paths['/v1/models']?.['post']?.responses['409']).toEqual({ $ref: '#/components/responses/Conflict' })
    expect(document.components.responses['Conflict']).toBeDefined()
    const ajv = new Ajv2020({ strict: false, validateFormats: false })
    ajv.addSchema({ $id: 'document', components: document.components })
    const { schema } = document.paths['/v1/embeddings']?.['post']?.responses['200']?.content?.['application/json'] ?? {}
    const validate = ajv.compile({ $ref: `document${schema?.$ref}` })
    const usage = { prompt_tokens: 1, total_tokens: 1 }
    const accepts = (embedding: unknown) =>
      validate({ object: 'list', model: 'm', data: [{ index: 0, object: 'embedding', embedding }], usage })
    expect([[0.5], 'AAAAPw==', null, ['x']].map(accepts)).toEqual([true, true, false, false])
  })
})

describe('/docs', () => {
  test('[PRO-5] the page, its files and the document have relative addresses, so that they work behind a path', async () => {
    const prefix = 'http://proxy.example/llm'
    /** As a proxy that serves this server under `/llm/` and removes that. */
    const through = (url: URL | string) => {
      const { href } = new URL(url)
      expect(href).toStartWith(`${prefix}/`)
      return server.fetch(href.slice(prefix.length))
    }
    for (const slashes of ['/', '//', '/?a=/']) {
      const moved = await through(`${prefix}/docs${slashes}`)
      expect([moved.status, new URL(moved.headers.get('location') ?? '', `${prefix}/docs${slashes}`).href]).toEqual([308, `${prefix}/docs`])
    }
    const html = await (await through(`${prefix}/docs`)).text()
    const files = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file = '']) => file).filter((file) => !file.startsWith('data:'))
    expect(files).toHaveLength(3)
    for (const file of files) expect((await through(new URL(file, `${prefix}/docs`))).status).toBe(200)
    const [, address = ''] = /url: '([^']+)'/.exec(await (await through(`${prefix}/docs/start.js`)).text()) ?? []
    const found = (await (await through(new URL(address, `${prefix}/docs`))).json()) as { servers: { url: string }[] }
    expect(new URL(found.servers[0]?.url ?? '', new URL(address, `${prefix}/docs`)).href).toBe(`${prefix}/`)
  })

  test('is a page that loads from this server alone', async () => {
    const response = await server.fetch('/docs')
    const page = await response.text()
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'")
    expect(page).not.toMatch(/https?:\/\//)
    for (const [, path = ''] of page.matchAll(/(?:src|href)="(docs\/[^"]+)"/g)) {
      const file = await server.fetch(`/${path}`)
      expect(file.status).toBe(200)
      expect(file.headers.get('content-type')).toMatch(/^text\/(javascript|css); charset=utf-8$/)
      expect((await file.text()).length).toBeGreaterThan(100)
    }
  })

  test('serves no other file', async () => {
    for (const file of ['package.json', '..%2fpackage.json', '..%2f..%2fetc%2fpasswd', '__proto__', 'index.html']) {
      const response = await server.fetch(`/docs/${file}`)
      expect(response.status).toBe(404)
      expect(await response.json()).toMatchObject({ error: { type: 'not_found_error' } })
    }
  })
})
