import { describe, expect, test } from 'bun:test'
import { kindOf } from '../../src/providers/inference/body-kind.ts'
import {
  chatFrames,
  chatReply,
  completionStream,
  embeddingsReply,
  errorReply,
  frame,
  type Script,
  stall,
  toolStream,
} from '../../src/testing/index.ts'
import { upstreamRequests, dataOf, chatBody, startRelay } from './relay-server.ts'

const path = '/v1/chat/completions'
const types = ['application/json', 'text/event-stream; charset=utf-8', 'text/plain', 'application/octet-stream', '']
const frames = chatFrames().join('')
const whole = chatReply('Hello there.').body as string

/** In one piece of known length, or in chunks: a body is judged in either. */
function scripts(body: string, type: string): Script[] {
  const headers = { 'content-type': type }
  return [
    { headers, body },
    { headers, body: [body.slice(0, 3), body.slice(3)] },
  ]
}

interface ErrorBody {
  status: number
  text: string
}

async function ask(script: Script, stream: boolean): Promise<ErrorBody> {
  await using on = await startRelay([script])
  const response = await on.post(path, { ...chatBody, stream })
  return { status: response.status, text: await response.text() }
}

describe.each(types)('a body that is declared as %s', (type) => {
  test('[MAL-5] and is an event stream is relayed as one, or folded into one response', async () => {
    for (const script of scripts(frames, type)) {
      const streamed = dataOf((await ask(script, true)).text)
      expect(streamed).toHaveLength(chatFrames().length - 1)
      expect(streamed.at(-1)).toBe('[DONE]')
      const folded = await ask(script, false)
      expect(folded.status).toBe(200)
      expect(JSON.parse(folded.text)).toEqual({
        id: 'chatcmpl-mock',
        object: 'chat.completion',
        created: 1_700_000_000,
        model: 'up/m',
        choices: [
          { index: 0, message: { role: 'assistant', content: 'Hello there.', refusal: null }, logprobs: null, finish_reason: 'stop' },
        ],
        usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
      })
    }
  })

  test('[MAL-5] and is JSON is one response, or becomes a stream', async () => {
    for (const body of [whole, `\n ${whole}`, `\ufeff${whole}`]) {
      for (const script of scripts(body, type)) {
        expect(JSON.parse((await ask(script, false)).text)).toMatchObject({
          model: 'up/m',
          choices: [{ message: { content: 'Hello there.' } }],
        })
        const { status, text } = await ask(script, true)
        const data = dataOf(text)
        expect({ status, first: JSON.parse(data[0]!) as object }).toMatchObject({
          status: 200,
          first: {
            object: 'chat.completion.chunk',
            model: 'up/m',
            choices: [{ index: 0, delta: { role: 'assistant', content: 'Hello there.' } }],
          },
        })
        expect(data.at(-1)).toBe('[DONE]')
      }
    }
  })

  test('[MAL-5] and is HTML or text is an error of the provider', async () => {
    const head = type.startsWith('text/event-stream') ? 200 : 502
    for (const body of ['<html><title>Sign in</title></html>', 'Service starting up']) {
      const isText = !body.startsWith('<')
      for (const script of scripts(body, type)) {
        const refused = await ask(script, false)
        expect(refused.status).toBe(502)
        expect(refused.text).toContain('upstream_invalid_response')
        const streamed = await ask(script, true)
        // An event stream's head has been sent before its body comes; lines of text in one are fields that a client skips.
        expect(streamed.status).toBe(head)
        expect(streamed.text).toContain(isText && head === 200 ? 'upstream_interrupted' : 'upstream_invalid_response')
        expect(streamed.text).not.toContain('[DONE]')
      }
    }
  })

  test('[MAL-5] and is an error of status 200 is that error', async () => {
    const fault = JSON.stringify({ error: { message: 'Slow down', code: 429 } })
    for (const stream of [true, false]) {
      for (const script of [...scripts(fault, type), ...scripts(frame(JSON.parse(fault)), type)]) {
        const { text } = await ask(script, stream)
        expect(text).toContain('"message":"Slow down"')
        expect(text).not.toContain('[DONE]')
      }
    }
  })
})

test('[MAL-5] the kind of a body in pieces is known once its first bytes are there', () => {
  const bodies = [
    ['data: {}\n\n', 'events'],
    [': ping\n\n', 'events'],
    ['event: x\n\n', 'events'],
    ['id\n\n', 'events'],
    ['retry: 5\n\n', 'events'],
    ['\n\r\n data:{}\n\n', 'events'],
    ['{"a":1}', 'json'],
    ['[1]', 'json'],
    ['<p>', 'html'],
    ['dataset', 'text'],
    ['ok', 'text'],
    ['', 'empty'],
    [' \n', 'empty'],
  ] as const
  for (const [body, kind] of bodies) {
    const bytes = new TextEncoder().encode(body)
    expect(kindOf(bytes, true)).toBe(kind)
    for (let end = 0; end < bytes.length; end += 1)
      expect([kind, undefined]).toContain(kindOf(bytes.subarray(0, end), false) as typeof kind)
  }
  expect(kindOf(new Uint8Array(100_000).fill(0x20), false)).toBe('text')
})

describe('a stream that was not requested', () => {
  test('[MAL-6] with tool calls is folded, and the connection serves again', async () => {
    await using on = await startRelay([toolStream(), toolStream()])
    for (let turn = 0; turn < 2; turn += 1) {
      const { choices } = (await (await on.post(path, chatBody)).json()) as { choices: object[] }
      expect(choices).toEqual([
        {
          index: 0,
          logprobs: null,
          finish_reason: 'tool_calls',
          message: {
            role: 'assistant',
            content: null,
            refusal: null,
            tool_calls: [
              { id: 'call_mock', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Oslo"}' } },
              { id: 'call_mock_2', type: 'function', function: { name: 'get_time', arguments: '{}' } },
            ],
          },
        },
      ])
    }
    expect(on.upstream.accepted).toBeLessThanOrEqual(2)
  })

  test('[MAL-6] of a text completion is folded', async () => {
    await using on = await startRelay([completionStream()])
    expect(await (await on.post('/v1/completions', { model: 'up/m', prompt: 'a' })).json()).toMatchObject({
      object: 'text_completion',
      choices: [{ index: 0, text: 'Hello there.', logprobs: null, finish_reason: 'stop' }],
    })
  })

  test.each([
    ['breaks off', { body: chatFrames().slice(0, 3) }, 'upstream_interrupted'],
    ['says nothing more', { body: [chatFrames()[0]!, stall] }, 'upstream_timeout'],
    ['arrives instead of embeddings', undefined, 'upstream_invalid_response'],
  ] as const)('that %s is an error with a status', async (_, script, code) => {
    await using on = await startRelay([(script as Script | undefined) ?? { body: chatFrames() }], { network: { idleTimeout: 40 } })
    const response = script ? await on.post(path, chatBody) : await on.post('/v1/embeddings', { model: 'up/m', input: 'a' })
    expect(response.status).toBeGreaterThanOrEqual(502)
    expect(await response.json()).toMatchObject({ error: { code } })
    await on.upstream.quiet()
  })

  test('counts its usage', async () => {
    await using on = await startRelay([{ body: chatFrames() }])
    await on.post(path, chatBody)
    const line = on.lines.find(({ message, fields }) => message === 'request' && fields['route'] === path)
    expect(line?.fields).toMatchObject({ input_tokens: 9, output_tokens: 3 })
    expect(upstreamRequests(on)[0]?.json).not.toHaveProperty('stream_options')
  })
})

test('embeddings and errors in JSON are as before', async () => {
  await using on = await startRelay([embeddingsReply(), errorReply(404)])
  expect((await on.post('/v1/embeddings', { model: 'up/m', input: 'a' })).status).toBe(200)
  expect((await on.post(path, chatBody)).status).toBe(404)
})
