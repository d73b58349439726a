import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { routes } from '../../src/api/index.ts'
import type { JsonReply } from '../../src/operations/reply.ts'
import type { ModelRequest } from '../../src/providers/provider.ts'
import { providerOf } from '../../src/testing/index.ts'
import { governed, type Governed } from '../quota/quota-server.ts'
import { parseText } from '../telemetry/metrics/parse-text.ts'
import { otlpReceiver } from '../telemetry/traces/otlp-receiver.ts'
import { exporting, until } from '../telemetry/traces/trace-server.ts'
import { createTranslation, translate } from './translate.ts'

const reply = { id: 'tr-1', translation: 'Guten Tag' }
const usage = { input: 7, output: 3 }
const hello = { model: 'up/m', text: 'good day', target_language: 'de', max_length: 10 }

const receiver = otlpReceiver()
let server: Governed
let requests: ModelRequest<unknown>[] = []
let reportsUsage = true

async function invoke(request: ModelRequest<unknown>): Promise<JsonReply> {
  requests.push(request)
  const bytes = new TextEncoder().encode(JSON.stringify(reply))
  return { kind: 'json', bytes, original: bytes, usage: reportsUsage ? usage : undefined }
}

beforeAll(async () => {
  server = await governed({
    quota: { limits: [{ name: 'output', per: 'user', models: '*', output_tokens: 40, period: 'hour' }] },
    callers: { alice: { attributes: { scopes: ['telemetry.read'] } }, bob: { attributes: {} } },
    providers: ['up', 'chats'],
    provider: (id) => providerOf(id, { invoke: id === 'up' ? { translate: invoke } : { chat: invoke } }),
    config: { telemetry: { ...exporting(receiver.url), store: undefined } },
    build: { routes: [...routes, createTranslation] },
  })
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await receiver[Symbol.asyncDispose]()
})
beforeEach(() => {
  requests = []
  reportsUsage = true
})

function post(body: object | string, as?: string): Promise<Response> {
  const init = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  }
  return server.ask('/v1/translations', as === undefined ? init : { ...init, as })
}

async function errorOf(response: Response): Promise<Record<string, unknown>> {
  return ((await response.json()) as { error: Record<string, unknown> }).error
}

describe('an operation of one file and one entry in the list of routes', () => {
  test('[OPN-1] is routed to the provider that has it', async () => {
    const response = await post(hello, 'alice')
    expect([response.status, await response.json()]).toEqual([200, reply])
    expect(requests).toMatchObject([{ model: 'm', requestedModel: 'up/m', operation: translate, format: translate.format, body: hello }])
  })

  test('[OPN-1] requires a credential', async () => {
    const response = await post(hello)
    expect([response.status, await errorOf(response)]).toMatchObject([401, { type: 'authentication_error' }])
    expect(requests).toEqual([])
  })

  test('[OPN-1] is validated by its schema', async () => {
    expect(await errorOf(await post({ model: 'up/m', text: 'good day' }, 'alice'))).toMatchObject({ param: 'target_language' })
  })

  test('[OPN-1] has governed fields of its own', async () => {
    for (const body of [{ ...hello, Text: 'other' }, JSON.stringify(hello).replace('{', '{"text":"other",')]) {
      const response = await post(body, 'alice')
      expect([response.status, await errorOf(response)]).toMatchObject([400, { code: 'ambiguous_field', param: 'text' }])
    }
    // A field of OpenAI's means nothing here.
    expect((await post({ ...hello, Messages: [] }, 'alice')).status).toBe(200)
  })

  test('[OPN-1] is an error that names it where the provider does not support it', async () => {
    const response = await post({ ...hello, model: 'chats/m' }, 'alice')
    expect([response.status, (await errorOf(response))['message']]).toEqual([
      400,
      "Provider 'chats' of model 'chats/m' does not support translate.",
    ])
  })

  test('[OPN-1] is limited by what its format says of a request', async () => {
    expect((await post({ ...hello, max_length: 30 }, 'bob')).status).toBe(200)
    const refused = await post({ ...hello, max_length: 50 }, 'bob')
    expect([refused.status, await errorOf(refused)]).toMatchObject([429, { type: 'rate_limit_error' }])
    expect(requests).toHaveLength(1)
  })

  test('[OPN-1] is in the ledger, with the tokens that the provider reported or its format counted', async () => {
    const before = server.lines.length
    await post(hello, 'alice')
    reportsUsage = false
    await post(hello, 'alice')
    expect(server.lines.slice(before)).toMatchObject([
      { capability: 'translate', model: 'up/m', input_tokens: 7, output_tokens: 3 },
      { capability: 'translate', input_tokens: 3, output_tokens: 3, estimated: 1 },
    ])
  })

  test('[OPN-1] has spans with its name, parameters and reply', async () => {
    const before = receiver.spans.length
    await post(hello, 'alice')
    const span = () => receiver.spans.slice(before).find(({ name }) => name === 'translation m')
    await until(() => span() !== undefined)
    expect(span()?.attributes).toMatchObject({
      'gen_ai.operation.name': 'translation',
      'gen_ai.request.model': 'm',
      'gen_ai.request.max_tokens': 10,
      'gen_ai.response.id': 'tr-1',
      'gen_ai.response.finish_reasons': ['done'],
      'gen_ai.usage.input_tokens': 7,
      'gen_ai.usage.output_tokens': 3,
    })
  })

  test('[OPN-1] has metrics with its name', async () => {
    await post(hello, 'alice')
    const families = parseText(await (await server.ask('/metrics', { as: 'alice' })).text())
    const operations = (family: string) => new Set(families.get(family)?.samples.map(({ labels }) => labels['gen_ai_operation_name']))
    expect(operations('gen_ai_client_operation_duration_seconds')).toContain('translation')
    expect(operations('gen_ai_server_request_duration_seconds')).toContain('translation')
  })

  test('[OPN-1] is documented', async () => {
    const document = (await (await server.ask('/openapi.json', { as: 'alice' })).json()) as {
      paths: Record<string, Record<string, { operationId: string; responses: object }>>
    }
    expect(document.paths['/v1/translations']?.['post']).toMatchObject({
      operationId: 'createTranslation',
      tags: ['Translations'],
      requestBody: {},
      responses: { '200': {}, '400': {}, '401': {}, '429': {} },
    })
    const listed = (await (await server.ask('/v1/inspect/routes', { as: 'alice' })).json()) as { data: { route: string }[] }
    expect(listed.data.map(({ route }) => route)).toContain('/v1/translations')
  })
})
