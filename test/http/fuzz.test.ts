import { afterAll, beforeAll, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { routes } from '../../src/api/index.ts'
import { chatReply, mockUpstream, testApp, testConfig, upstreamProvider, type MockUpstream, type TestApp } from '../../src/testing/index.ts'
import { runs } from '../../src/testing/sizes.ts'

let upstream: MockUpstream
let server: TestApp

beforeAll(async () => {
  upstream = await mockUpstream()
  upstream.respond(() => chatReply())
  server = await testApp(testConfig({ providers: [upstreamProvider('mock', upstream.url, { key: 'k' })] }))
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
})

/** A 4xx in the envelope, or a result: never a 500, never an exception. */
async function expectSane(response: Response): Promise<void> {
  const text = await response.text()
  if (response.status >= 400) {
    expect(JSON.parse(text)).toMatchObject({ error: { message: expect.any(String), type: expect.any(String) } })
  }
  if (response.status >= 500) throw new Error(`${response.status}: ${text}`)
}

const post = (path: string, body: BodyInit) => server.fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
const bodyPaths = routes.filter(({ body }) => body).map(({ path }) => path)
const anyPath = fc.constantFrom(...bodyPaths)

test('[ERR-8] any bytes as a body', async () => {
  await fc.assert(fc.asyncProperty(anyPath, fc.uint8Array({ maxLength: 200 }), async (path, bytes) => expectSane(await post(path, bytes))))
})

test('[ERR-8] any JSON as a body', async () => {
  await fc.assert(fc.asyncProperty(anyPath, fc.json(), async (path, body) => expectSane(await post(path, body))))
})

/** A request that nearly passes: the right keys, each right, absent, null or anything at all. */
const part = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.record({
    type: fc.constantFrom('text', 'image_url', 'input_audio', 'file', 'x'),
    text: fc.jsonValue({ maxDepth: 1 }),
    image_url: fc.jsonValue({ maxDepth: 1 }),
  }),
)
const message = fc.record(
  {
    role: fc.oneof(fc.constantFrom('user', 'system', 'assistant', 'tool', 'function', 'developer'), fc.jsonValue({ maxDepth: 1 })),
    content: fc.oneof(fc.string(), fc.array(part, { maxLength: 3 }), fc.jsonValue({ maxDepth: 1 })),
    tool_calls: fc.oneof(fc.constant([]), fc.jsonValue({ maxDepth: 3 })),
    name: fc.jsonValue({ maxDepth: 1 }),
  },
  { requiredKeys: [] },
)
const anything = fc.jsonValue({ maxDepth: 3 })
const nearChat = fc.record(
  {
    model: fc.oneof({ weight: 5, arbitrary: fc.constant('mock/m') }, anything),
    messages: fc.oneof({ weight: 5, arbitrary: fc.array(message, { maxLength: 3 }) }, anything),
    tools: anything,
    tool_choice: anything,
    response_format: anything,
    stop: anything,
    n: anything,
    stream_options: anything,
    metadata: anything,
    logit_bias: anything,
  },
  { requiredKeys: ['model', 'messages'] },
)

test('[ERR-8] nearly right chats', async () => {
  await fc.assert(
    fc.asyncProperty(nearChat, async (body) => expectSane(await post('/v1/chat/completions', JSON.stringify(body)))),
    { numRuns: runs(300) },
  )
})

test('[ERR-8] any method, path and query', async () => {
  const known = fc.constantFrom(...routes.map(({ path }) => path))
  const url = fc.oneof(
    fc.webPath(),
    fc.tuple(known, fc.string()).map(([path, id]) => path.replace(/\{\w+\+?\}/, encodeURIComponent(id))),
  )
  const method = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS')
  await fc.assert(
    fc.asyncProperty(method, url, fc.webQueryParameters(), async (verb, path, query) => {
      const response = await server.fetch(`${path}?${query}`, { method: verb })
      if (verb === 'HEAD') expect(response.status).toBeLessThan(500)
      else await expectSane(response)
    }),
  )
})
