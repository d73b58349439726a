import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { routes } from '../../src/api/index.ts'
import { dialects } from '../../src/dialects/index.ts'
import { ApiError } from '../../src/errors.ts'
import type { Reply, StreamFacts } from '../../src/providers/provider.ts'
import { quotaSchema, toQuotaConfig } from '../../src/quota/schema.ts'
import { providerOf, recordedLog, testConfig, testServer, type TestServer } from '../../src/testing/index.ts'
import { asking, known, routesBeginning } from '../pipeline/servers.ts'
import { parseText, valuesOf } from '../telemetry/metrics/parse-text.ts'
import { type OtlpReceiver, otlpReceiver } from '../telemetry/traces/otlp-receiver.ts'
import { exporting, until } from '../telemetry/traces/trace-server.ts'
import { sayRoute, toy } from './toy-dialect.ts'

const encoder = new TextEncoder()

/** Reports no usage, so that tokens are counted by the dialect's format. */
function streamOf(parts: readonly string[], failure?: Error): Reply {
  const facts: StreamFacts = { usage: undefined, firstTokenAt: undefined, frames: 0 }
  const rest = parts.map((said) => encoder.encode(`data: ${JSON.stringify({ said })}\n\n`))
  return {
    kind: 'stream',
    facts,
    frames: {
      async next() {
        const value = rest.shift()
        if (value) {
          facts.firstTokenAt ??= performance.now()
          facts.frames += 1
          return { done: false, value }
        }
        if (failure) throw failure
        facts.complete = true
        return { done: true, value: undefined }
      },
      async return() {
        return { done: true, value: undefined }
      },
    },
  }
}

let receiver: OtlpReceiver
let server: TestServer
let reply: () => Reply
const log = recordedLog()
/** What the upstream was sent. */
let sent: string[] = []

async function sayUpstream({ bytes }: { readonly bytes: Uint8Array }): Promise<Reply> {
  sent.push(new TextDecoder().decode(bytes))
  return reply()
}

beforeAll(async () => {
  receiver = otlpReceiver()
  const models = [{ modelId: 'up/m', providerId: 'up', providerModelId: 'm' }]
  const config = testConfig({
    providers: [providerOf('up', { invoke: { chat: sayUpstream }, formats: { chat: ['toy.chat'] } })],
    models,
    telemetry: exporting(receiver.url),
    quota: toQuotaConfig(quotaSchema.parse({ prices: [{ model: '*', input_per_million: 0, output_per_million: 1 }] })),
    routePolicy: routesBeginning('/toy', '/v1', '/metrics', '/openapi.json'),
  })
  server = await testServer(config, {
    log,
    authentication: known({
      alice: { attributes: { scopes: ['telemetry.read'] } },
      poor: { attributes: {}, key: { id: 'key_1', limits: [{ period: 'month', totalTokens: 1 }] } },
    }),
    routes: [...routes, sayRoute],
    dialects: [...dialects, toy],
  })
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await receiver[Symbol.asyncDispose]()
})

const say = (body: string | object, as = 'alice') =>
  server.fetch(
    '/toy/say',
    asking(as, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify({ engine: 'up/m', say: 'Hello', limit: 50, ...body }),
    }),
  )

describe('a dialect of one file and one list entry', () => {
  test.each([
    ['without a credential', () => server.fetch('/toy/say', { method: 'POST' }), 401, 'credentials_rejected'],
    ['an unknown path', () => server.fetch('/toy/nothing', asking('alice')), 404, 'invalid_request'],
    ['an unknown path, without a credential', () => server.fetch('/toy/nothing'), 401, 'credentials_rejected'],
    ['another method', () => server.fetch('/toy/say', asking('alice', { method: 'PUT' })), 405, 'invalid_request'],
    ['an invalid body', () => say('{"engine":1}'), 400, 'invalid_request'],
    ['an unknown model', () => say({ engine: 'none/m' }), 404, 'invalid_request'],
    ['a used-up limit', () => say({}, 'poor'), 429, 'quota_exceeded'],
  ] as const)('[DIA-1] encodes %s', async (_, ask, status, failure) => {
    const response = await ask()
    const body = (await response.json()) as object
    expect([response.status, response.headers.get('x-toy-failure')]).toEqual([status, failure])
    expect(body).toEqual({ failed: { reason: expect.any(String) as string, class: failure, again: false } })
  })

  test('[DIA-1] and no other path: those of OpenAI’s API keep their envelope', async () => {
    for (const path of ['/v1/nothing', '/toys', '/nothing']) {
      const response = await server.fetch(path)
      expect([response.status, response.headers.get('x-toy-failure')]).toEqual([401, null])
      expect(await response.json()).toMatchObject({ error: { type: 'authentication_error' } })
    }
  })

  test('[DIA-2] a reply and a stream pass through as they came', async () => {
    const whole = '{"said":"Hi there", "why":"enough"}'
    reply = () => ({ kind: 'json', bytes: encoder.encode(whole), usage: undefined, original: encoder.encode(whole) })
    const response = await say({})
    expect([response.status, await response.text()]).toEqual([200, whole])
    reply = () => streamOf(['Hi', ' there'])
    const stream = await say({ live: true })
    expect(await stream.text()).toBe('data: {"said":"Hi"}\n\ndata: {"said":" there"}\n\n')
  })

  test('[DIA-2] a stream that fails ends with the dialect’s event', async () => {
    reply = () => streamOf(['Hi'], new ApiError('upstream_error', 'gone', { code: 'upstream_interrupted' }))
    const text = await (await say({ live: true })).text()
    expect(text).toBe('data: {"said":"Hi"}\n\nevent: failed\ndata: {"failed":{"reason":"gone","class":"interrupted","again":true}}\n\n')
  })

  test('[DIA-4] its own governed fields are checked, and those of other formats are not', async () => {
    reply = () => streamOf(['Hi'])
    sent = []
    for (const more of ['"engine":"up/m"', '"Engine":"up/m"', '"LIMIT":9']) {
      const response = await say(`{"engine":"up/m","say":"x",${more}}`)
      expect([response.status, sent.length]).toEqual([400, 0])
    }
    const others = '{"engine":"up/m","say":"x","messages":1,"Messages":2,"max_tokens":1,"max_tokens":2}'
    expect((await say(others)).status).toBe(200)
    expect(sent).toEqual([others])
  })

  test('[DIA-5] is logged, measured, limited and traced by its format', async () => {
    const linesBefore = log.lines.length
    reply = () => streamOf(['four', 'four'])
    const response = await say({ live: true, say: 'x'.repeat(40) })
    await response.text()
    const lineOf = () => log.lines.slice(linesBefore).find(({ message }) => message === 'request')
    await until(() => lineOf() !== undefined)
    // Eight bytes of text are two tokens, as no usage was reported.
    expect(lineOf()?.fields).toMatchObject({
      route: '/toy/say',
      model: 'up/m',
      provider: 'up',
      status: 200,
      output_tokens: 2,
      cost_usd: 2e-6,
    })
    const traceId = response.headers.get('x-trace-id')
    const spans = () => receiver.spans.filter((span) => span.traceId === traceId)
    await until(() => spans().length === 2)
    expect(spans().find(({ kind }) => kind === 2)?.attributes).toMatchObject({ 'http.route': '/toy/say', 'gen_ai.usage.output_tokens': 2 })
    expect(spans().find(({ kind }) => kind === 3)).toMatchObject({
      name: 'chat m',
      attributes: { 'gen_ai.operation.name': 'chat', 'gen_ai.request.max_tokens': 50 },
    })
    const families = parseText(await (await server.fetch('/metrics', asking('alice'))).text())
    const labels = { gen_ai_operation_name: 'chat', corral_provider: 'up', gen_ai_request_model: 'up/m' }
    expect(valuesOf(families, 'gen_ai_server_time_to_first_token_seconds_count', labels)[0]).toBeGreaterThan(0)
  })

  test('[DIA-6] is documented with its own error schema', async () => {
    const document = (await (await server.fetch('/openapi.json', asking('alice'))).json()) as {
      paths: Record<string, { post: { responses: Record<string, { $ref?: string }> } }>
      components: { responses: Record<string, { content: Record<string, { schema: object }> }>; schemas: Record<string, object> }
    }
    const { responses } = document.paths['/toy/say']!.post
    expect(responses['404']?.$ref).toBe('#/components/responses/NotFound_toy')
    expect(document.paths['/v1/chat/completions']?.post.responses['404']?.$ref).toBe('#/components/responses/NotFound')
    expect(document.components.responses['NotFound_toy']?.content['application/json']?.schema).toEqual({
      $ref: '#/components/schemas/ToyErrorResponse',
    })
    expect(document.components.schemas).toHaveProperty('ToyErrorResponse')
  })
})
