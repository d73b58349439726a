import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import OpenAI, { APIError } from 'openai'
import { fetchFrom } from '../../src/app.ts'
import { groq } from '../../src/providers/inference/groq.ts'
import { chatReply, mockUpstream, providerEntry, recordedLog, testApp, testConfig } from '../../src/testing/index.ts'
import { operatorKey } from '../providers/remote-cases.ts'

const spellings = ['x-corral-provider-data', 'x-ogx-provider-data', 'x-llamastack-provider-data', 'X-LlamaStack-Provider-Data']
const malformed = [
  '',
  'sk-oops',
  '{"groq_api_key": sk-oops',
  "{'groq_api_key': 'sk-oops'}",
  '{"groq_api_key":"sk-oops"},',
  '{"a":1}, {"groq_api_key":"sk-oops"}',
  '{"groq_api_key":NaN,"x":"sk-oops"}',
  '["sk-oops"]',
  '"sk-oops"',
  '42',
  'null',
  `{"groq_api_key":"sk-oops${'x'.repeat(40_000)}"}`,
]

async function stage() {
  const upstream = await mockUpstream()
  upstream.respond(() => chatReply())
  const log = recordedLog()
  const config = { base_url: upstream.url, api_key: operatorKey }
  const app = await testApp(testConfig({ providers: [providerEntry(groq, 'groq', config)] }), { log })
  return {
    upstream,
    log,
    app,
    ask: (headers: Record<string, string>) =>
      app.fetch('/v1/chat/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ model: 'groq/m', messages: [{ role: 'user', content: 'Hi' }] }),
      }),
    async [Symbol.asyncDispose]() {
      await app[Symbol.asyncDispose]()
      await upstream[Symbol.asyncDispose]()
    },
  }
}

describe('a provider-data header', () => {
  test('[GUA-6] that is not a JSON object is a 400 in every spelling, and nothing is sent', async () => {
    await using it = await stage()
    for (const name of spellings) {
      for (const value of malformed) {
        const response = await it.ask({ [name]: value })
        const text = await response.text()
        expect([name, value.slice(0, 40), response.status]).toEqual([name, value.slice(0, 40), 400])
        expect(JSON.parse(text)).toMatchObject({ error: { code: 'invalid_provider_data', param: name.toLowerCase() } })
        expect(text).not.toContain('sk-oops')
      }
    }
    expect(it.upstream.requests.filter(({ path }) => path.endsWith('/chat/completions'))).toEqual([])
    expect(JSON.stringify(it.log.lines)).not.toContain('sk-oops')
  })

  test('[GUA-6] that is malformed beside a good one of another spelling is a 400 too', async () => {
    await using it = await stage()
    const good = '{"groq_api_key":"own"}'
    expect((await it.ask({ 'x-corral-provider-data': good, 'x-llamastack-provider-data': 'sk-oops' })).status).toBe(400)
    expect((await it.ask({ 'x-corral-provider-data': good, 'x-llamastack-provider-data': '{}' })).status).toBe(200)
    expect(it.upstream.requests.at(-1)?.headers.authorization).toBe('Bearer own')
  })

  test('[GUA-6] of any text is data or a 400, with the official SDK', async () => {
    await using it = await stage()
    const client = new OpenAI({ apiKey: 'none', baseURL: 'http://localhost/v1', maxRetries: 0, fetch: fetchFrom(it.app.app) })
    const header = fc.oneof(fc.string({ maxLength: 40 }), fc.json({ maxDepth: 1 })).filter((text) => /^[\x20-\x7e]*$/.test(text))
    await fc.assert(
      fc.asyncProperty(header, fc.constantFrom(...spellings), async (value, name) => {
        const isObject = /^\s*\{/.test(value) && isJson(value)
        const create = client.chat.completions.create(
          { model: 'groq/m', messages: [{ role: 'user', content: 'Hi' }] },
          { headers: { [name]: value } },
        )
        const status = await create.then(
          () => 200,
          (error: unknown) => (error instanceof APIError ? error.status : error),
        )
        expect([value, status]).toEqual([value, isObject ? 200 : 400])
      }),
      { numRuns: 50 },
    )
  })
})

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
