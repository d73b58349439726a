import { describe, expect, test } from 'bun:test'
import OpenAI from 'openai'
import { chat } from '../../src/operations/chat.ts'
import { base64Embeddings, defaultMaxTokens } from '../../src/providers/inference/additions.ts'
import {
  chatFrames,
  chatReply,
  chatStream,
  completionStream,
  embeddingsReply,
  errorReply,
  jsonReply,
  stallBeforeHead,
} from '../../src/testing/index.ts'
import type { Script } from '../../src/testing/index.ts'
import { upstreamRequests, dataOf, chatBody, type ProviderOptions, type RelayServer, startRelay } from './relay-server.ts'

const streamed = { ...chatBody, stream: true }
const refusal = { error: { message: 'Unrecognized request argument supplied: stream_options', type: 'invalid_request_error' } }
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2))
}

const events = (...frames: string[]): Script => ({ body: frames })

/** The `stream_options` of each request that the upstream got, null where it has none. */
const sentOptions = (on: RelayServer): unknown[] => upstreamRequests(on).map(({ json }) => json?.['stream_options'] ?? null)
const requested = { include_usage: true }

describe('a refused field that Corral added', () => {
  test.each<[string, Script]>([
    ['OpenAI’s form', errorReply(400, refusal)],
    ['OpenAI’s param alone', errorReply(400, { error: { message: 'Unknown parameter.', param: 'stream_options' } })],
    ['a nested param', errorReply(400, { error: { message: 'Unknown parameter.', param: 'stream_options.include_usage' } })],
    ['Databricks', errorReply(400, { error_code: 'BAD_REQUEST', message: 'stream_options: Extra inputs are not permitted' })],
    [
      'FastAPI',
      errorReply(422, { detail: [{ type: 'extra_forbidden', loc: ['body', 'stream_options'], msg: 'Extra inputs are not permitted' }] }),
    ],
    ['FastAPI, the member', errorReply(422, { detail: [{ loc: ['body', 'stream_options', 'include_usage'], msg: 'extra fields' }] })],
    ['Azure', errorReply(400, { error: { code: 400, message: 'Validation error at #/stream_options: Extra inputs are not permitted' } })],
    ['Azure AI', errorReply(400, { detail: "Extra parameters ['stream_options'] are not allowed when extra-parameters is not set" })],
    [
      'Google',
      errorReply(400, [
        { error: { code: 400, message: 'Invalid JSON payload received. Unknown name "stream_options": Cannot find field.' } },
      ]),
    ],
    [
      'Google’s details',
      errorReply(400, { error: { message: 'Bad request', details: [{ fieldViolations: [{ field: 'stream_options' }] }] } }),
    ],
    ['RFC 9457', errorReply(400, { title: 'Invalid request', errors: { stream_options: ['is not allowed'] } })],
    ['JSON:API', errorReply(400, { errors: [{ title: 'Unknown field', source: { pointer: '#/stream_options' } }] })],
    ['Go', errorReply(400, { error: 'json: unknown field "streamOptions"' })],
    ['prose', errorReply(400, { message: 'Stream options are not supported by this model.' })],
    ['plain text', { status: 400, headers: { 'content-type': 'text/plain' }, body: 'stream_options: unknown field' }],
    ['a 200 with an error in JSON', jsonReply(refusal)],
    ['JSON that is called a stream', { headers: { 'content-type': 'text/event-stream' }, body: JSON.stringify(refusal) }],
    ['a stream that is called JSON', { headers: { 'content-type': 'application/json' }, body: `data: ${JSON.stringify(refusal)}\n\n` }],
    ['an error after a comment', events(': hello\n\n', `data: ${JSON.stringify(refusal)}\n\n`)],
    ['an error as the first frame', events(`data: ${JSON.stringify(refusal)}\n\n`)],
    ['an error event with a status', events(`event: error\ndata: ${JSON.stringify({ error: { ...refusal.error, code: 400 } })}\n\n`)],
  ])('[ADD-1] %s: the request is sent again without it', async (_, script) => {
    await using on = await startRelay([script, chatStream(['Hi'])])
    const response = await on.post('/v1/chat/completions', streamed)
    expect(response.status).toBe(200)
    const data = dataOf(await response.text())
    expect(data.at(-1)).toBe('[DONE]')
    expect(data.join('')).toContain('Hi')
    expect(data.join('')).not.toContain('error')
    expect(sentOptions(on)).toEqual([requested, null])
    expect(upstreamRequests(on)[1]?.json).toEqual({ ...streamed, model: 'm' })
  })

  test('[ADD-1] in text completions too', async () => {
    await using on = await startRelay([errorReply(400, refusal), completionStream()])
    const response = await on.post('/v1/completions', { model: 'up/m', prompt: 'a', stream: true })
    expect(dataOf(await response.text()).at(-1)).toBe('[DONE]')
    expect(sentOptions(on)).toEqual([requested, null])
  })

  test('[ADD-1] the caller’s own options stay, as they were sent', async () => {
    const own = '{"include_obfuscation":false, "include_usage" : false}'
    const body = JSON.stringify(streamed).replace(/\}$/, `,"stream_options":${own}}`)
    await using on = await startRelay([errorReply(400, { message: 'stream_options.include_usage is not supported' }), chatStream()])
    expect((await on.post('/v1/chat/completions', body)).status).toBe(200)
    expect(upstreamRequests(on)[1]?.text).toBe(body.replace('up/m', 'm'))
  })

  test('[ADD-1] a null of the caller’s goes with it', async () => {
    await using on = await startRelay([errorReply(400, refusal), chatStream()])
    await (await on.post('/v1/chat/completions', { ...streamed, stream_options: null })).text()
    expect(upstreamRequests(on)[1]?.json).toEqual({ ...streamed, model: 'm' })
  })

  test('[ADD-1] several, each once', async () => {
    const limit = { error: { message: "'max_tokens' is too large: 4096. This model's maximum context length is 2048 tokens" } }
    await using on = await startRelay([errorReply(400, limit), errorReply(400, refusal), chatStream()], {
      additions: [defaultMaxTokens(4096)],
    })
    await (await on.post('/v1/chat/completions', streamed)).text()
    expect(upstreamRequests(on).map(({ json }) => [json?.['max_tokens'], json?.['stream_options']])).toEqual([
      [4096, requested],
      [undefined, requested],
      [undefined, undefined],
    ])
  })

  test('[ADD-1] a caller that leaves during the second attempt ends it', async () => {
    const left = new AbortController()
    await using on = await startRelay([events(`data: ${JSON.stringify(refusal)}\n\n`), stallBeforeHead])
    const pending = on.post('/v1/chat/completions', streamed, { signal: left.signal }).then((response) => response.text())
    await until(() => upstreamRequests(on).length === 2)
    left.abort()
    await pending.catch(() => undefined)
    await upstreamRequests(on)[1]!.finished
    expect(upstreamRequests(on)[1]!.aborted).toBe(true)
  })
})

test.each([
  "This model's maximum context length is 2048 tokens. However, you requested 4106 tokens (10 in the messages, 4096 in the completion).",
  "'max_tokens' or 'max_completion_tokens' is too large: 4096.",
  'max_tokens must be at most 2048, got 4096.',
])('[ADD-1] a default of max_tokens that does not fit is left out: %s', async (message) => {
  await using on = await startRelay([errorReply(400, { object: 'error', message, type: 'BadRequestError' }), chatReply()], {
    additions: [defaultMaxTokens(4096)],
  })
  expect((await on.post('/v1/chat/completions', chatBody)).status).toBe(200)
  expect(upstreamRequests(on).map(({ json }) => json?.['max_tokens'])).toEqual([4096, undefined])
})

describe('what was refused', () => {
  test('[ADD-2] is remembered, for that model alone', async () => {
    const scripts = [errorReply(400, refusal), chatStream(), chatStream(), completionStream(), chatStream()]
    await using on = await startRelay(scripts)
    for (let time = 0; time < 2; time += 1) await (await on.post('/v1/chat/completions', streamed)).text()
    await (await on.post('/v1/completions', { model: 'up/m', prompt: 'a', stream: true })).text()
    await (await on.post('/v1/chat/completions', { ...streamed, model: 'up/other' })).text()
    expect(sentOptions(on)).toEqual([requested, null, null, null, requested])
  })

  test('[ADD-2] is not remembered where the second attempt fails as well', async () => {
    await using on = await startRelay([errorReply(400, refusal), errorReply(400, refusal), chatStream()])
    const failed = await on.post('/v1/chat/completions', streamed)
    expect([failed.status, await failed.json()]).toMatchObject([400, refusal])
    await (await on.post('/v1/chat/completions', streamed)).text()
    expect(sentOptions(on)).toEqual([requested, null, requested])
  })

  test('[ADD-2] is not remembered where it depends on the request', async () => {
    const limit = errorReply(400, { message: 'max_tokens is too large' })
    await using on = await startRelay([limit, chatReply(), chatReply()], { additions: [defaultMaxTokens(4096)] })
    for (let time = 0; time < 2; time += 1) expect((await on.post('/v1/chat/completions', chatBody)).status).toBe(200)
    expect(upstreamRequests(on).map(({ json }) => json?.['max_tokens'])).toEqual([4096, undefined, 4096])
  })
})

describe('no second attempt', () => {
  const fields = { stream_options: { include_usage: true } }
  test.each<[string, Script, object, ProviderOptions]>([
    ['the caller sent the field', errorReply(400, refusal), fields, {}],
    ['the caller sent the field, without usage', errorReply(400, refusal), { stream_options: { x: 1 } }, {}],
    ['another field is refused', errorReply(400, { error: { message: 'Unknown parameter: stream', param: 'stream' } }), {}, {}],
    ['a longer name', errorReply(400, { message: "Unknown parameter: 'upstream_options_x'" }), {}, {}],
    ['the framework repeats the request', errorReply(422, { detail: [{ loc: ['body', 'n'], msg: 'bad', input: fields }] }), {}, {}],
    ['another status', errorReply(500, refusal), {}, {}],
    ['a rejected key', errorReply(401, refusal), {}, {}],
    ['nothing was added', errorReply(400, refusal), {}, { streamUsage: false }],
    ['nothing streams', errorReply(400, refusal), { stream: false }, {}],
  ])('[ADD-3] %s', async (_, script, over, options) => {
    await using on = await startRelay([script, chatStream()], options)
    const response = await on.post('/v1/chat/completions', { ...streamed, ...over })
    expect(response.status).toBe(script.status as number)
    expect(upstreamRequests(on)).toHaveLength(1)
  })

  test('[ADD-3] an error after the first frame', async () => {
    await using on = await startRelay([
      events(chatFrames(['Hi'])[0]!, chatFrames(['Hi'])[1]!, `data: ${JSON.stringify(refusal)}\n\n`),
      chatStream(),
    ])
    const text = await (await on.post('/v1/chat/completions', streamed)).text()
    expect(text).toContain('stream_options')
    expect(upstreamRequests(on)).toHaveLength(1)
  })
})

describe('base64 embeddings', () => {
  const request = { model: 'up/m', input: 'a', encoding_format: 'base64' }
  test.each<[string, Script]>([
    ['the value', errorReply(400, { error: { message: "encoding_format 'base64' is not supported" } })],
    ['the value alone', errorReply(400, { message: 'base64 is not a supported encoding' })],
    ['the field', errorReply(422, { detail: [{ loc: ['body', 'encoding_format'], msg: 'Extra inputs are not permitted' }] })],
    ['in a 200', jsonReply({ error: { message: 'Unknown field encodingFormat' } })],
  ])('[ADD-6] refused by %s: floats are requested and encoded, and that is remembered', async (_, refused) => {
    await using on = await startRelay([refused, embeddingsReply([[0.5, -2]]), embeddingsReply([[0.5, -2]])])
    for (let time = 0; time < 2; time += 1) {
      const response = await on.post('/v1/embeddings', request)
      expect(response.status).toBe(200)
      const { data } = (await response.json()) as { data: { embedding: string }[] }
      expect(data.map(({ embedding }) => embedding)).toEqual([Buffer.from(Float32Array.of(0.5, -2).buffer).toString('base64')])
    }
    expect(upstreamRequests(on).map(({ json }) => json?.['encoding_format'] ?? null)).toEqual(['base64', null, null])
  })

  test('[ADD-6] OpenAI’s SDK, which requests base64 unasked, gets its numbers', async () => {
    await using on = await startRelay([errorReply(400, { message: 'unsupported encoding_format' }), embeddingsReply([[0.5, -2]])])
    const client = new OpenAI({ apiKey: 'k', baseURL: `${on.server.url}/v1`, maxRetries: 0 })
    const { data } = await client.embeddings.create({ model: 'up/m', input: 'a' })
    expect([...data[0]!.embedding]).toEqual([0.5, -2])
    expect(upstreamRequests(on)).toHaveLength(2)
  })

  test('[ADD-3] floats that are refused are the caller’s own', async () => {
    await using on = await startRelay([errorReply(400, { message: 'encoding_format is not supported' })])
    expect((await on.post('/v1/embeddings', { ...request, encoding_format: 'float' })).status).toBe(400)
    expect(upstreamRequests(on)).toHaveLength(1)
    expect(
      base64Embeddings.plan(
        { model: 'm', requestedModel: 'm', operation: chat, format: chat.format, body: request, bytes: new Uint8Array() },
        'chat',
      ),
    ).toBeUndefined()
  })
})

test('[ADD-4] the log names the field, once', async () => {
  await using on = await startRelay([errorReply(400, refusal), chatStream(), chatStream()])
  for (let time = 0; time < 2; time += 1) await (await on.post('/v1/chat/completions', streamed)).text()
  const errorBody = on.lines.filter(({ message }) => message.includes('refused fields'))
  expect(errorBody).toMatchObject([{ level: 'info', fields: { provider: 'up', model: 'm', fields: ['stream_options'], remembered: true } }])
})
