import { afterAll, beforeAll, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { operations } from '../../src/operations/index.ts'
import { maxTokensOf } from '../../src/quota/estimate.ts'
import { chatReply, mockUpstream, modelsReply, testConfig, testServer, upstreamProvider } from '../../src/testing/index.ts'
import type { MockUpstream, TestServer } from '../../src/testing/index.ts'
import { runs } from '../../src/testing/sizes.ts'

let upstream: MockUpstream
let server: TestServer

beforeAll(async () => {
  upstream = await mockUpstream()
  upstream.respond(({ path }) => (path.endsWith('/models') ? modelsReply(['m']) : chatReply()))
  server = await testServer(testConfig({ providers: [upstreamProvider('up', upstream.url, { key: 'sk-operator' })] }))
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
})

const headers = { 'content-type': 'application/json' }

async function post(
  body: string,
  path = '/v1/chat/completions',
): Promise<{ status: number; param: unknown; type: unknown; sent: string[] }> {
  const before = upstream.requests.length
  const response = await server.fetch(path, { method: 'POST', headers, body })
  const { error } = (await response.json()) as { error?: { param?: unknown; type?: unknown } }
  const sent = upstream.requests.slice(before).filter(({ method }) => method === 'POST')
  return { status: response.status, param: error?.param, type: error?.type, sent: sent.map(({ bytes }) => new TextDecoder().decode(bytes)) }
}

const chatWith = (more: string): string => `{"model":"up/m","messages":[{"role":"user","content":"Hi"}],"max_tokens":1${more}}`

test.each([
  [',"Model":"secret/model"', 'model'],
  [',"Max_Tokens":99999', 'max_tokens'],
  [',"nPredict":99999', 'n_predict'],
  [',"MAX_COMPLETION_TOKENS":99999', 'max_completion_tokens'],
  [',"me\\u017f\\u017fages":[]', 'messages'],
  [',"meſſages":[]', 'messages'],
  [',"max_to\u212aens":9', 'max_tokens'],
  [',"\\u004dodel":"x"', 'model'],
  [',"maxTokens":99999', 'max_tokens'],
  [',"mod\\u0065l":"up/m"', 'model'],
  [',"model":"up/m"', 'model'],
  [',"max_tokens":99999', 'max_tokens'],
  [' , "N" : 5', 'n'],
  [',"Stream":true', 'stream'],
  [',"Models":["secret/model"]', 'models'],
])('another spelling of a governed field, or a duplicate, is rejected: %s', async (more, param) => {
  expect(await post(chatWith(more))).toEqual({ status: 400, type: 'invalid_request_error', param, sent: [] })
})

test.each([
  ['"messages":[{"role":"user","content":"all of a book","content":"Hi"}]', 'messages'],
  ['"messages":[{"role":"user","content":[{"type":"text","te\\u0078t":"all of a book","text":"Hi"}]}]', 'messages'],
  ['"messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","type":"web","function":{"name":"f"}}]', 'tools'],
  ['"messages":[{"role":"user","content":"Hi"}],"stream_options":{"include_usage":false,"include_usage":true}', 'stream_options'],
])('a repeated member deeper in a governed field is rejected: %s', async (fields, param) => {
  const body = `{"model":"up/m",${fields}}`
  expect(await post(body)).toEqual({ status: 400, type: 'invalid_request_error', param, sent: [] })
})

test.each([
  ['/v1/completions', '{"model":"up/m","prompt":"a","Model":"b"}', 'model'],
  ['/v1/embeddings', '{"model":"up/m","input":"a","Input":["b"]}', 'input'],
  ['/v1alpha/inference/rerank', '{"model":"up/m","query":"a","items":["b"],"Items":["c","d"]}', 'items'],
  ['/v1/rerank', '{"model":"up/m","query":"a","documents":["b"],"Documents":["c","d"]}', 'documents'],
  ['/v1/openai/v1/chat/completions', chatWith(',"mODEL":"b"'), 'model'],
])('on every route that takes a model: %s', async (path, body, param) => {
  expect(await post(body, path)).toEqual({ status: 400, type: 'invalid_request_error', param, sent: [] })
})

test('an escaped spelling is the field; unknown keys pass, repeated or in capitals, and so do governed names at deeper levels', async () => {
  const more = ',"X_vendor":1,"X_vendor":2,"extra":{"Model":"a","model":"b","model":"c"},"x":"model","y":["Model"]'
  const { status, sent } = await post(chatWith(more).replace('"max_tokens"', '"max\\u005ftokens"'))
  expect([status, sent.length, sent[0]?.endsWith(more + '}')]).toEqual([200, 1, true])
})

const go = (key: string): string => key.replaceAll('ſ', 's').replaceAll('\u212a', 'k').toLowerCase()

const fold = (key: string): string => operations.chat.format.governedFields.find((name) => go(name) === go(key)) ?? key

/** How readers differ: whose case they ignore, and which of several they take. */
function readings(document: readonly (readonly [string, unknown])[]): Record<string, unknown>[] {
  return [(key: string) => key, fold].flatMap((nameOf) =>
    [document, document.toReversed()].map((entries) => Object.fromEntries(entries.map(([key, value]) => [nameOf(key), value]))),
  )
}

/** A letter, now and then in a spelling that some readers take for it. */
function letter(one: string): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 30, arbitrary: fc.constant(one) },
    fc.constantFrom(
      one.toUpperCase(),
      one === 's' ? 'ſ' : one === 'k' ? '\u212a' : one,
      `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
  )
}

const spelt = (name: string): fc.Arbitrary<string> => fc.tuple(...name.split('').map(letter)).map((letters) => letters.join(''))
const field = (name: string, value: fc.Arbitrary<unknown>) => fc.tuple(spelt(name), value)

test('however the upstream reads the request, model and maximum tokens are those that were checked', async () => {
  const limits = fc.integer({ min: 1, max: 100_000 })
  const entries = fc.array(
    fc.oneof(
      field('max_tokens', limits),
      field('max_completion_tokens', limits),
      field('n', fc.integer({ min: 1, max: 4 })),
      field('best_of', fc.integer({ min: 1, max: 4 })),
      field('model', fc.constantFrom('secret/model', 'up/m')),
      fc.tuple(fc.constantFrom('x_vendor', 'Temperature'), fc.constant(1)),
    ),
    { maxLength: 5 },
  )
  const whole = fc.tuple(spelt('model'), spelt('messages'), entries).chain(([model, messages, rest]) =>
    fc.shuffledSubarray([[model, 'up/m'], [messages, [{ role: 'user', content: 'Hi' }]], ...rest] as [string, unknown][], {
      minLength: rest.length + 2,
    }),
  )
  let passed = 0
  await fc.assert(
    fc.asyncProperty(whole, async (document) => {
      const body = `{${document.map(([key, value]) => `"${key}":${JSON.stringify(value)}`).join(',')}}`
      const { sent } = await post(body)
      if (!sent[0]) return
      passed += 1
      const options = { defaultMaxTokens: 10, inputBytesPerToken: 1 }
      const output = (fields: object): number =>
        maxTokensOf({ operation: operations.chat, format: operations.chat.format, body: fields, bytes: 0 }, options).output
      const judged = output(JSON.parse(body) as object)
      const pairs = [...sent[0].matchAll(/"((?:[^"\\]|\\.)*)":(\[.*?\]|"[^"]*"|\d+)(?=[,}])/g)].map(
        ([, key, value]) => [JSON.parse(`"${key}"`), JSON.parse(value as string)] as [string, unknown],
      )
      for (const reading of readings(pairs)) expect([reading['model'], output(reading)]).toEqual(['m', judged])
    }),
    { numRuns: runs(300) },
  )
  expect(passed).toBeGreaterThan(runs(300) / 30)
})
